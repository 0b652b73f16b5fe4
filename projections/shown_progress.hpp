#pragma once
/// Up to which LSN of each node a projection shows everything: follows the streams' progress records in the control topic
/// and holds each back until the events it covers are applied. One per runner; one thread.

#include "core/change_event.hpp"
#include "core/kafka/client.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

namespace keyshift::projections {

class ShownProgress {
public:
    /// From the end of the control topic on; `topic` is the projection's.
    ShownProgress(const kafka::Settings& settings, const std::string& topic_prefix, const std::string& topic);

    /// Whether everything of a partition below an offset is applied.
    using Applied = std::function<bool(std::int32_t partition, std::int64_t until)>;
    /// Reads what the streams have recorded since, without waiting. The nodes that have moved on since the last call.
    std::map<std::string, Lsn> advance(const Applied& applied);

private:
    using Ends = std::map<std::int32_t, std::int64_t>;
    struct Step {
        Lsn lsn;
        Ends ends;
    };
    struct Node {
        Ends ends; ///< the highest that any of its records has named
        std::optional<Step> next;
        std::optional<Step> last; ///< newest record; steps between are not needed
    };

    void take(const ProgressRecord& record);

    std::string topic_;
    kafka::Consumer consumer_;
    /// A record names only partitions that its process wrote to; what earlier ones wrote lies below these.
    Ends floor_;
    std::map<std::string, Node> nodes_;
};

} // namespace keyshift::projections
