#pragma once
/// One ReverseStream for each node that keeps copies current.

#include "resharder/reverse/reverse_stream.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

namespace keyshift::resharder {

class ReverseStreams {
public:
    /// The moves that settle with a copy to be kept current, by the node that has it. Any thread.
    void want(const MoveEnvironment& environment, const std::map<std::string, std::set<std::int64_t>>& moves);
    /// Any thread.
    void hand_over(const MoveEnvironment& environment, const BucketMove& move,
                   std::unique_ptr<cdc::Subscription> subscription);
    /// The node's positions are stored at once. Any thread.
    void advance(const std::string& node);
    void stop();

private:
    ReverseStream& of(const MoveEnvironment& environment, const std::string& node);

    std::mutex mutex_;
    std::map<std::string, std::unique_ptr<ReverseStream>> streams_; ///< guarded by mutex_
};

} // namespace keyshift::resharder
