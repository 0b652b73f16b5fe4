#pragma once
/// Up to which LSN of each node a projection shows everything: follows the streams' progress records in the control topic
/// and holds each back until the events it covers are applied. Where the projection's table was truncated it goes no further: no
/// event tells of the rows that are gone. One per runner; one thread.

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
    /// `from`: offset of the control topic, truncations count from there on, progress from now on. `table` is the projection's, as control records name it, and `topic` that of its events.
    ShownProgress(const kafka::Settings& settings, const std::string& topic_prefix, std::int64_t from,
                  std::string table, const std::string& topic);

    /// Whether everything of a partition below an offset is applied.
    using Applied = std::function<bool(std::int32_t partition, std::int64_t until)>;
    /// Reads what the streams have recorded since, without waiting. The nodes that have moved on since the last call.
    std::map<std::string, Lsn> advance(const Applied& applied);
    const std::optional<TruncateRecord>& truncated() const { return truncated_; }
    /// Of the control topic: a truncation, or what was not read yet.
    std::int64_t next_offset() const { return next_offset_; }

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
    void read();

    std::string table_;
    std::string topic_;
    std::int64_t next_offset_;
    std::int64_t now_; ///< end of the control topic at first
    std::optional<TruncateRecord> truncated_;
    kafka::Consumer consumer_;
    /// A record names only partitions that its process wrote to; what earlier ones wrote lies below these.
    Ends floor_;
    std::map<std::string, Node> nodes_;
};

} // namespace keyshift::projections
