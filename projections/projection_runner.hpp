#pragma once
/// Keeps one projection: topic -> batch -> nodes. One thread runs it, a second one reads ahead, and the backfill has some of
/// its own while it builds.

#include "projections/backfill.hpp"
#include "projections/base_watch.hpp"
#include "projections/batch_reader.hpp"
#include "projections/batch_writer.hpp"
#include "projections/event_mapper.hpp"
#include "projections/projection_record.hpp"
#include "projections/projections.hpp"
#include "projections/rejection_log.hpp"
#include "projections/renewal.hpp"
#include "projections/shown_progress.hpp"

#include <atomic>
#include <chrono>
#include <exception>
#include <map>
#include <memory>
#include <span>
#include <thread>

namespace keyshift::projections {

class ProjectionRunner {
public:
    ProjectionRunner(pg::ConnectionSettings catalog, const ProjectionOptions& options,
                     metrics::ProjectionMetrics& metrics, std::int64_t id);

    /// Until stop, or until the catalog wants it paused or dropped. Throws what made it end. True: it shall be begun anew,
    /// since there are other nodes now.
    bool run(std::stop_token stop);

private:
    bool keep(std::stop_token stop);
    void record_start(std::stop_token stop);
    void start_backfill();
    void check_kept();
    void follow_progress();
    void settle_loss();
    void forget_shown(const std::string& source);
    std::optional<EventBatch> next_batch(BatchReader& reader, std::stop_token stop);
    void apply(EventBatch batch, std::stop_token stop);
    using Rows = std::span<std::pair<RowChange, const kafka::Message*>>;
    void write_or_reject(Rows rows, const Offsets& progress, std::stop_token stop);
    void reject(const kafka::Message& message, const Rejection& rejection);
    bool has_too_many_rejections();
    /// Tells every node how far the projection shows each base node, where that has moved on.
    void tell_shown();
    BaseLook look_for(const EventBatch& batch);
    /// False: stop running.
    bool keeps_base(const BaseLook& look);
    /// Once a second: lag, state, what the catalog wants. False: stop running.
    bool look_around();
    void finish_building();
    void begin_succession();
    bool at_end();
    const std::string& label() const { return record_.definition.shown_name(); } ///< in metrics

    pg::ConnectionSettings catalog_settings_;
    const ProjectionOptions& options_;
    metrics::ProjectionMetrics& metrics_;
    pg::Connection catalog_;
    ProjectionRecord record_;
    Target target_;
    ComputedKeys keys_;
    EventMapper mapper_;
    RejectionLog rejections_;
    BaseWatch base_;
    std::int64_t rejected_ = 0; ///< since they were last counted
    std::unique_ptr<BatchWriter> writer_;
    kafka::Consumer consumer_;
    std::string topic_;
    Offsets next_; ///< next offset to apply
    std::map<std::int32_t, std::int64_t>
        live_from_;                            ///< end offsets when the backfill was done: live once these are applied
    bool again_ = false;                       ///< what run() says
    std::optional<std::int64_t> control_next_; ///< of the control topic, at the start; nullopt: not yet recorded
    std::atomic<bool> backfill_done_ = false;
    std::exception_ptr backfill_failure_; ///< read after backfill_done_
    std::chrono::steady_clock::time_point looked_ = {};
    std::unique_ptr<ShownProgress> shown_;
    std::map<std::string, Lsn> untold_;
    std::chrono::steady_clock::time_point told_ = {};
    std::int64_t owner_epoch_ = 0;
    std::int64_t last_applied_ms_ = 0;      ///< Kafka's time of the newest record applied; 0: none
    std::exception_ptr succession_failure_; ///< read after succession_failed_
    std::atomic<bool> succession_failed_ = false;
    std::jthread backfill_;
    std::jthread succession_;
    std::jthread renewal_;
};

} // namespace keyshift::projections
