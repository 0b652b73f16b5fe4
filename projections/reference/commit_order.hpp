#pragma once
/// Events of one node's tables, which come from many partitions, in the order in which the node committed them. A position
/// is there once: whatever comes again is dropped. Pure.

#include "projections/reference/reference_event.hpp"

#include <cstddef>
#include <map>
#include <optional>
#include <tuple>
#include <vector>

namespace keyshift::projections {

struct OrderedEvent {
    std::size_t table = 0; ///< the caller's number
    ReferenceEvent event;
    std::int32_t partition = -1;
    std::int64_t offset = -1;
    std::int64_t timestamp_ms = 0; ///< Kafka's
};

class CommitOrder {
public:
    void add(OrderedEvent event, std::size_t bytes);

    /// Takes whole commits below `lsn` from the front, until there are at least `most` events. The two halves of an UPDATE
    /// that changed the key come as one.
    std::vector<OrderedEvent> take_below(Lsn lsn, std::size_t most);

    bool empty() const { return events_.empty(); }
    std::size_t bytes() const { return bytes_; }
    /// Kafka's time of the oldest; 0: there is none.
    std::int64_t oldest_ms() const { return events_.empty() ? 0 : events_.begin()->second.event.timestamp_ms; }
    /// The first offset of a partition that is still here.
    std::optional<std::int64_t> first_offset(std::size_t table, std::int32_t partition) const;

private:
    struct Held {
        OrderedEvent event;
        std::size_t bytes;
    };
    /// Commit LSN, place in the transaction, 0 for the removal of the old key and 1 for the rest.
    using Place = std::tuple<Lsn, std::uint64_t, int>;

    std::map<Place, Held> events_;
    std::size_t bytes_ = 0;
};

} // namespace keyshift::projections
