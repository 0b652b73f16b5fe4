#pragma once
/// Keeps the copies that one node has of the reference tables of one home: topics -> commits of the home, in their order ->
/// the node. One thread runs it.

#include "metrics/families.hpp"
#include "projections/reference/commit_order.hpp"
#include "projections/reference/copy_fill.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace keyshift::projections {

class ReferenceKeeper {
public:
    ReferenceKeeper(const pg::ConnectionSettings& catalog, const ProjectionOptions& options,
                    metrics::ReferenceMetrics& metrics, std::string node,
                    const std::vector<catalog::CapturedTable>& tables, std::stop_token stop);

    /// Until the constructor's stop, or until something must be begun anew (a copy is to be filled). Throws what made it end.
    void run();

private:
    /// One table with its copy.
    struct Copy {
        ReferenceTable table;
        CopyState state;
        std::unique_ptr<ReferenceReader> reader;
        std::unique_ptr<CopyWriter> writer;
        std::int64_t conflicts = 0;
        bool misfit = false;               ///< its columns are not those of the home
        std::optional<ErrorParts> trouble; ///< it stands still for this
        bool kept() const { return state.held && !trouble; }
    };
    /// What the home's stream has said: all commits below `lsn` are before these ends of the copies' topics.
    struct Promise {
        Lsn lsn;
        TopicOffsets ends;
    };

    void prepare(Copy& copy);
    std::optional<ErrorParts> lossy_topic(const Copy& copy);
    void check_shape(Copy& copy);
    void fill(Copy& copy);
    TopicOffsets ends_of(const Copy& copy);
    void assign();
    void take(const kafka::Message& message);
    void take_control(const kafka::Message& message);
    void take_event(std::size_t index, const kafka::Message& message);
    void order(std::size_t index, ReferenceEvent event, const kafka::Message& message);
    void again(Copy& copy, const std::string& why);
    void promise();
    bool kept_promise();
    void apply(Lsn lsn);
    void write(const std::vector<OrderedEvent>& events, Lsn applied);
    void remove_all_carefully(Copy& copy);
    void write_carefully(const std::vector<OrderedEvent>& events, Lsn applied);
    void begin_write(Lsn applied);
    void look_around();
    void check_gap();
    void retry_conflicts(Copy& copy);
    using Wanted = std::vector<std::pair<RowKey, std::optional<BaseRow>>>;
    void retry_together(Copy& copy, const Wanted& rows);
    void report(const Copy& copy, const std::optional<ErrorParts>& error);
    pg::Connection& home();
    void end_when_stopped() const;

    std::stop_token stop_;
    pg::ConnectionSettings catalog_settings_;
    const ProjectionOptions& options_;
    metrics::ReferenceMetrics& metrics_;
    std::unique_ptr<pg::Connection> catalog_; ///< none while it is away
    const catalog::Node at_;
    const catalog::Node home_node_;
    pg::Connection node_;
    std::unique_ptr<pg::Connection> home_; ///< none while it is away
    std::optional<CopyOwner> owner_;
    std::vector<Copy> copies_;
    kafka::Consumer consumer_;
    std::string control_;
    TopicOffsets next_; ///< next offset that a poll returns
    CommitOrder order_;
    std::optional<Promise> promise_;
    std::optional<ProgressRecord> newest_; ///< of the home
    Lsn promised_;                         ///< of the newest promise
    bool anew_ = false;
    std::chrono::steady_clock::time_point looked_ = {};
    std::chrono::steady_clock::time_point stored_ = {};
};

} // namespace keyshift::projections
