#include "projections/projection_runner.hpp"

#include "core/change_event.hpp"
#include "core/failpoint.hpp"
#include "core/json.hpp"
#include "core/log.hpp"
#include "metrics/families.hpp"
#include "projections/planner_statistics.hpp"
#include "projections/stored_positions.hpp"
#include "projections/stream_progress.hpp"
#include "projections/succession.hpp"
#include "projections/whole_table.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace keyshift::projections {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Json = nlohmann::json;

ProjectionRunner::ProjectionRunner(pg::ConnectionSettings catalog, const ProjectionOptions& options,
                                   metrics::ProjectionMetrics& metrics, std::int64_t id)
    : catalog_settings_(catalog), options_(options), metrics_(metrics), catalog_(catalog),
      record_(read_projection(catalog_, id)), target_(catalog, record_.definition, Target::Progress::in_transaction),
      keys_(catalog, record_.definition), mapper_(record_.definition, &keys_),
      rejections_(catalog_, record_.definition), base_(record_, target_),
      consumer_(options.kafka, "keyshift-projection-" + record_.definition.name),
      topic_(data_topic(options.topic_prefix, record_.definition.base.schema, record_.definition.base.name))
{
    if (const auto control = record_.start_offsets.extract(control_topic(options.topic_prefix))) {
        control_next_ = control.mapped().at(0);
    }
}

void ProjectionRunner::start_backfill()
{
    const bool everywhere = record_.definition.everywhere;
    const std::set<std::string> unfilled = unfilled_nodes(target_, record_);
    if (everywhere ? unfilled.empty() : record_.state != "building") {
        backfill_done_ = everywhere;
        return;
    }
    backfill_done_ = false;
    backfill_ = std::jthread(
        [this, everywhere, unfilled, done = record_.backfilled, owner = owner_epoch_](std::stop_token stop) {
            try {
                Backfill backfill(
                    record_, catalog_settings_, owner,
                    {options_.batch_rows, options_.workers, options_.max_rejections, options_.max_backfill_rate});
                if (everywhere) {
                    backfill.fill_nodes(unfilled, stop);
                } else {
                    backfill.run(done, stop);
                }
            } catch (...) {
                backfill_failure_ = std::current_exception();
            }
            backfill_done_ = !stop.stop_requested() || backfill_failure_;
            if (!backfill_failure_) {
                gather_planner_statistics(record_.definition, catalog_settings_, stop);
            }
        });
}

/// As BatchReader::next; what the topic has lost meanwhile is told as check_kept does.
std::optional<EventBatch> ProjectionRunner::next_batch(BatchReader& reader, std::stop_token stop)
{
    try {
        return reader.next(50ms, stop);
    } catch (const FatalError&) {
        check_kept();
        throw;
    }
}

bool ProjectionRunner::run(std::stop_token stop)
{
    if (record_.wanted == "pause") {
        set_state(catalog_, record_.id, "paused");
        return false;
    }
    if (record_.state == "paused" || record_.state == "failed") {
        set_state(catalog_, record_.id, "building");
        record_.state = "building";
    }
    if (!keeps_base(base_.look())) {
        return again_;
    }
    wait_with(catalog_, record_.id, std::nullopt);
    make_missing_tables(catalog_, target_, record_);
    record_start(stop);
    owner_epoch_ = take_over(target_, record_);
    writer_ = std::make_unique<BatchWriter>(record_.definition, target_, owner_epoch_);
    next_ = positions(target_, record_);
    anchor_progress(target_, record_.definition, next_, owner_epoch_);
    check_kept();
    std::vector<kafka::TopicPartition> assigned;
    for (const auto& [partition, offset] : next_) {
        assigned.push_back({partition.first, partition.second, offset});
    }
    consumer_.assign(assigned);
    follow_progress();
    start_backfill();
    log::info("projections", "projection={} runs", record_.definition.name);
    try {
        if (!keep(stop)) {
            return false;
        }
    } catch (const pg::SqlError&) {
        target_.disconnect(); // nobody knows what its sessions are in the middle of
        if (keeps_base(base_.look())) {
            throw;
        }
        return again_;
    }
    writer_->tell(stop);
    return again_;
}

/// False: it has paused by itself.
bool ProjectionRunner::keep(std::stop_token stop)
{
    BatchReader reader(consumer_, mapper_, target_, options_);
    while (!stop.stop_requested() && look_around()) {
        if (std::optional<EventBatch> batch = next_batch(reader, stop)) {
            if (!keeps_base(look_for(*batch))) {
                break;
            }
            apply(std::move(*batch), stop);
            if (has_too_many_rejections()) {
                writer_->tell(stop);
                return false;
            }
        } else {
            writer_->tell(stop);
        }
        tell_shown();
        settle_loss();
    }
    return true;
}

/// An event that cannot be used does not always say where it came from.
BaseLook ProjectionRunner::look_for(const EventBatch& batch)
{
    if (!batch.rejections.empty()) {
        return base_.look();
    }
    std::set<std::string> nodes;
    const std::string* last = nullptr;
    for (const auto& [change, message] : batch.rows) {
        if (last == nullptr || *last != change.origin_node) {
            nodes.insert(change.origin_node);
        }
        last = &change.origin_node;
    }
    return base_.look(nodes);
}

bool ProjectionRunner::keeps_base(const BaseLook& look)
{
    const Goes goes = settle_base(catalog_, record_, look);
    again_ = again_ || goes == Goes::anew;
    return goes == Goes::on;
}

/// After the data transactions it speaks of, so that a reader who sees it sees them (INV-PRJ-2). While rows that were there before
/// are still to come nothing is promised.
void ProjectionRunner::tell_shown()
{
    constexpr auto kInterval = 20ms;
    for (const auto& [node, lsn] : shown_->advance([this](std::int32_t partition, std::int64_t until) {
             const auto next = next_.find({topic_, partition});
             if (next == next_.end()) {
                 check_kept(); // it has partitions that were not there before
             }
             return next != next_.end() && consumer_.passed(topic_, partition, next->second, until);
         })) {
        untold_[node] = lsn;
    }
    if (untold_.empty() || record_.state != "live" || Clock::now() - told_ < kInterval) {
        return;
    }
    Json steps = Json::object();
    for (const auto& [node, lsn] : std::exchange(untold_, {})) {
        steps[node] = lsn.to_string();
    }
    for (const std::string& node : target_.nodes()) {
        target_.connection(node).query(
            "INSERT INTO keyshift.projection_source AS s (projection, generation, node, lsn, owner_epoch) "
            "SELECT $1, $2, key, value::pg_lsn, $3 FROM jsonb_each_text($4) ON CONFLICT (projection, generation, node) "
            "DO UPDATE SET lsn = excluded.lsn, owner_epoch = excluded.owner_epoch, at = excluded.at WHERE s.owner_epoch <= excluded.owner_epoch",
            {record_.definition.name, std::to_string(record_.definition.generation), std::to_string(owner_epoch_),
             steps.dump()});
    }
    told_ = Clock::now();
}

void ProjectionRunner::apply(EventBatch batch, std::stop_token stop)
{
    for (const auto& [message, rejection] : batch.rejections) {
        reject(*message, rejection);
    }
    write_or_reject(batch.rows, batch.progress, stop);
    last_applied_ms_ = batch.messages.back().timestamp_ms;
    for (const auto& [partition, offset] : batch.progress) {
        next_[partition] = offset;
    }
}

/// PostgreSQL may refuse a row (a cast, a check): halves of the batch find it, and its neighbours are written.
void ProjectionRunner::write_or_reject(Rows rows, const Offsets& progress, std::stop_token stop)
{
    std::vector<RowChange*> changes;
    for (auto& [change, message] : rows) {
        changes.push_back(&change);
    }
    try {
        const Written written = writer_->write(std::move(changes), progress, stop);
        metrics_.rows(label(), "applied").add(static_cast<double>(written.applied));
        metrics_.rows(label(), "stale").add(static_cast<double>(written.stale));
        rejections_.heal(rows);
    } catch (const pg::SqlError& error) {
        if (!blames_the_row(error.sqlstate())) {
            throw;
        }
        if (rows.size() > 1) {
            write_or_reject(rows.first(rows.size() / 2), {}, stop);
            write_or_reject(rows.subspan(rows.size() / 2), progress, stop);
        } else {
            const auto& [change, message] = rows.front();
            reject(*message,
                   {"refused_by_postgresql", error.parts().why, row_identity(record_.definition, change.base)});
            write_or_reject({}, progress, stop);
        }
    }
}

void ProjectionRunner::reject(const kafka::Message& message, const Rejection& rejection)
{
    rejections_.add(message, rejection);
    ++rejected_;
    metrics_.rejections(label(), rejection.reason).add();
    metrics_.rows(label(), "rejected").add();
}

/// So many events that cannot be used are a fault of the topic or of the definition, not of some rows.
bool ProjectionRunner::has_too_many_rejections()
{
    if (std::exchange(rejected_, 0) == 0 || rejections_.count() < options_.max_rejections) {
        return false;
    }
    pause_with(
        catalog_, record_.id,
        {"keeping projection " + record_.definition.name,
         fmt::format("{} of its events could not be used; projection.max_rejections is {}", rejections_.count(),
                     options_.max_rejections),
         fmt::format("`keyshift rejections list {0}` says why. Mend the cause, `keyshift rejections retry` or drop "
                     "them, then `keyshift projection resume {0}`.",
                     record_.definition.name)});
    log::error("projections", "projection={} paused: {} rejections", record_.definition.name, rejections_.count());
    return true;
}

bool ProjectionRunner::at_end()
{
    for (const auto& [partition, offset] : next_) {
        const std::int64_t end = consumer_.watermarks(partition.first, partition.second).second;
        if (!consumer_.passed(partition.first, partition.second, offset, end)) {
            return false;
        }
    }
    return true;
}

void ProjectionRunner::finish_building()
{
    if (!backfill_done_) {
        return;
    }
    if (backfill_failure_) {
        std::rethrow_exception(backfill_failure_);
    }
    if (record_.state != "building") {
        return;
    }
    if (live_from_.empty()) {
        const std::int64_t before = rejections_.count();
        rejections_.load();
        metrics_.rejections(label(), "refused_by_postgresql")
            .add(static_cast<double>(std::max<std::int64_t>(0, rejections_.count() - before)));
        for (const auto& [partition, offset] : next_) {
            live_from_[partition.second] = consumer_.watermarks(partition.first, partition.second).second;
        }
    }
    const bool reached = std::all_of(next_.begin(), next_.end(), [&](const auto& entry) {
        return consumer_.passed(entry.first.first, entry.first.second, entry.second, live_from_.at(entry.first.second));
    });
    if (reached) {
        set_state(catalog_, record_.id, "live");
        record_.state = "live";
        log::info("projections", "projection={} live", record_.definition.name);
    }
}

/// A generation that is complete takes the place of the one that serves; one that serves removes those it has succeeded.
/// Both wait for others, so they have a thread of their own.
void ProjectionRunner::begin_succession()
{
    if (succession_.joinable() || record_.kept || record_.state != "live" ||
        (record_.definition.everywhere && !backfill_done_)) {
        return;
    }
    succession_ = std::jthread([this, serving = record_.serving](std::stop_token stop) {
        try {
            if (!serving) {
                succeed(catalog_settings_, record_.id, stop);
            }
        } catch (...) {
            succession_failure_ = std::current_exception();
            succession_failed_ = true;
            return;
        }
        try {
            remove_succeeded(catalog_settings_, record_.definition.name, stop);
        } catch (const Error& error) {
            log::warning("projections", "projection={} an earlier generation is left until the next start: {}",
                         record_.definition.name, error.what());
        }
    });
}

bool ProjectionRunner::look_around()
{
    constexpr auto kInterval = 500ms;
    if (Clock::now() - looked_ < kInterval) {
        return true;
    }
    looked_ = Clock::now();
    if (!keeps_base(base_.look())) {
        return false;
    }
    finish_building();
    begin_succession();
    if (succession_failed_) {
        std::rethrow_exception(succession_failure_);
    }
    if (has_other_nodes(target_)) {
        again_ = true;
        return false;
    }
    const auto now_ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
            .count();
    const double lag = at_end() || last_applied_ms_ == 0
                           ? 0
                           : static_cast<double>(std::max<std::int64_t>(0, now_ms - last_applied_ms_)) / 1000;
    // By id: one that was dropped and made again under the same name is another projection.
    const pg::Result wanted =
        // What Kafka has not been given yet is not shown either.
        catalog_.query(
            "UPDATE keyshift.projection SET start_offsets = start_offsets || $5::jsonb, lag_seconds = greatest($2::float8, (SELECT max(s.lag_seconds) FROM keyshift.stream_status s "
            "JOIN keyshift.captured_table t ON t.schema_name = $3 AND t.table_name = $4 AND coalesce(t.node, s.node) = s.node)) "
            "WHERE id = $1 RETURNING wanted, serving, greatest(lag_seconds, (SELECT max(lag_seconds) FROM keyshift.read_member o WHERE o.part_of = projection.part_of AND o.id <> projection.id)), "
            "(SELECT max(lag_seconds) FROM keyshift.read_member o WHERE o.part_of = projection.part_of AND everywhere), keep_until IS NOT NULL, "
            "part_of IS NULL OR EXISTS (SELECT FROM keyshift.read_member o WHERE o.id = projection.id)",
            {std::to_string(record_.id), fmt::format("{:.3f}", lag), record_.definition.base.schema,
             record_.definition.base.name,
             Json{{control_topic(options_.topic_prefix), {{"0", shown_->next_offset()}}}}.dump()});
    if (wanted.rows() == 0 || wanted.text(0, 0) == "drop") {
        return false;
    }
    if (wanted.boolean(0, 1) != record_.serving || wanted.boolean(0, 4) != record_.kept ||
        (record_.serving && expire_kept(catalog_, record_.definition.name))) {
        again_ = true; // with another part to play
        return false;
    }
    if (wanted.boolean(0, 1) && wanted.boolean(0, 5)) {
        metrics_.lag_seconds(label()).set(wanted.real(0, 2));
        if (!wanted.is_null(0, 3)) {
            metrics_.fanout_oldest_seconds(label()).set(wanted.real(0, 3));
        }
    }
    if (wanted.text(0, 0) == "pause") {
        set_state(catalog_, record_.id, "paused");
        return false;
    }
    return true;
}

} // namespace keyshift::projections
