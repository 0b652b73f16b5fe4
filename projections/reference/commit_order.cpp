#include "projections/reference/commit_order.hpp"

#include <algorithm>

namespace keyshift::projections {

using Kind = ReferenceEvent::Kind;

void CommitOrder::add(OrderedEvent event, std::size_t bytes)
{
    const SourcePosition& position = event.event.position;
    const Place place{position.commit_lsn, position.seq, event.event.kind == Kind::remove ? 0 : 1};
    if (events_.try_emplace(place, Held{std::move(event), bytes}).second) {
        bytes_ += bytes;
    }
}

std::vector<OrderedEvent> CommitOrder::take_below(Lsn lsn, std::size_t most)
{
    std::vector<OrderedEvent> taken;
    while (!events_.empty()) {
        auto first = events_.begin();
        const Lsn commit = std::get<0>(first->first);
        const bool same_commit = !taken.empty() && taken.back().event.position.commit_lsn == commit;
        if (commit >= lsn || (!same_commit && taken.size() >= most)) {
            break;
        }
        OrderedEvent& event = first->second.event;
        const bool second_half = same_commit && event.event.kind == Kind::put &&
                                 taken.back().event.kind == Kind::remove && taken.back().table == event.table &&
                                 taken.back().event.position.seq == event.event.position.seq;
        if (second_half) {
            event.event.moved_from = std::move(taken.back().event.key);
            taken.pop_back();
        }
        taken.push_back(std::move(event));
        bytes_ -= first->second.bytes;
        events_.erase(first);
    }
    return taken;
}

std::optional<std::int64_t> CommitOrder::first_offset(std::size_t table, std::int32_t partition) const
{
    std::optional<std::int64_t> first;
    for (const auto& [place, held] : events_) {
        if (held.event.table == table && held.event.partition == partition) {
            first = std::min(first.value_or(held.event.offset), held.event.offset);
        }
    }
    return first;
}

} // namespace keyshift::projections
