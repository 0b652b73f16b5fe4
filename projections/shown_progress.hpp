#pragma once
/// Up to which LSN of each node a projection shows everything: follows the streams' progress records in the control topic
/// and holds each back until the events it covers are applied. Where the projection's table was truncated, or a node's stream
/// began behind a gap, it goes no further: no event tells of the rows that are gone. One per runner; one thread.

#include "core/change_event.hpp"
#include "core/kafka/client.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <variant>

namespace keyshift::projections {

/// The table that a projection is of.
struct ProjectedTable {
    std::string name;  ///< as control records name it
    std::string topic; ///< of its events
    std::string node;  ///< "": on every node
};

class ShownProgress {
public:
    using Loss = std::variant<TruncateRecord, GapRecord>;

    /// `from`: offset of the control topic, losses count from there on, progress from now on.
    ShownProgress(const kafka::Settings& settings, const std::string& topic_prefix, std::int64_t from,
                  ProjectedTable table);

    /// Whether everything of a partition below an offset is applied.
    using Applied = std::function<bool(std::int32_t partition, std::int64_t until)>;
    /// Reads what the streams have recorded since, without waiting. The nodes that have moved on since the last call.
    std::map<std::string, Lsn> advance(const Applied& applied);
    /// Of rows that no event tells of.
    const std::optional<Loss>& loss() const { return loss_; }
    /// Of the control topic: a loss, or what was not read yet.
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
    std::optional<Loss> loss_in(const ControlRecord& record) const;

    ProjectedTable table_;
    std::int64_t next_offset_;
    std::int64_t now_; ///< end of the control topic at first
    std::optional<Loss> loss_;
    kafka::Consumer consumer_;
    /// A record names only partitions that its process wrote to; what earlier ones wrote lies below these.
    Ends floor_;
    std::map<std::string, Node> nodes_;
};

} // namespace keyshift::projections
