#include "resharder/reverse/reverse_streams.hpp"

#include <utility>

namespace keyshift::resharder {

ReverseStream& ReverseStreams::of(const MoveEnvironment& environment, const std::string& node)
{
    auto& stream = streams_[node];
    if (!stream) {
        stream = std::make_unique<ReverseStream>(environment, node);
    }
    return *stream;
}

void ReverseStreams::want(const MoveEnvironment& environment,
                          const std::map<std::string, std::set<std::int64_t>>& moves)
{
    const std::lock_guard lock(mutex_);
    for (const auto& [node, wanted] : moves) {
        of(environment, node);
    }
    for (const auto& [node, stream] : streams_) {
        const auto wanted = moves.find(node);
        stream->want(wanted == moves.end() ? std::set<std::int64_t>() : wanted->second);
    }
}

void ReverseStreams::hand_over(const MoveEnvironment& environment, const BucketMove& move,
                               std::unique_ptr<cdc::Subscription> subscription)
{
    const std::lock_guard lock(mutex_);
    of(environment, move.donor).hand_over(move.id, std::move(subscription));
}

void ReverseStreams::advance(const std::string& node)
{
    const std::lock_guard lock(mutex_);
    if (const auto stream = streams_.find(node); stream != streams_.end()) {
        stream->second->advance();
    }
}

void ReverseStreams::stop()
{
    const std::lock_guard lock(mutex_);
    streams_.clear();
}

} // namespace keyshift::resharder
