/// Where in its topic and in the control topic a projection begins and goes on, and what it does where they do not hold what it needs.

#include "core/backoff.hpp"
#include "core/change_event.hpp"
#include "core/json.hpp"
#include "core/log.hpp"
#include "projections/projection_runner.hpp"
#include "projections/stream_progress.hpp"

#include <fmt/core.h>

namespace keyshift::projections {

using namespace std::chrono_literals;
using Json = nlohmann::json;

namespace {

std::string rebuilt_by(const std::string& name)
{
    return "`keyshift projection rebuild " + name + "` reads the rows again; until then it stays as it is.";
}

std::string why_lost(const ShownProgress::Loss& loss)
{
    if (const auto* truncated = std::get_if<TruncateRecord>(&loss)) {
        return fmt::format("{} was truncated on node {}, and no event tells of the rows that are gone",
                           truncated->table, truncated->node);
    }
    const auto& gap = std::get<GapRecord>(loss);
    return fmt::format(
        "the events of node {} are not what happened there from {} to {} (a gap that was accepted by `keyshift "
        "cdc recover`), and no event tells which rows are gone",
        gap.node, gap.from.to_string(), gap.to.to_string());
}

} // namespace

/// Start offsets: the ends of the topic once every node's stream has passed the moment at which the projection's tables and
/// the replica identity were ready. Whatever is not visible to the backfill's snapshots comes after these offsets.
void ProjectionRunner::record_start(std::stop_token stop)
{
    if (!record_.start_offsets.empty()) {
        return;
    }
    std::map<std::string, Lsn> wanted;
    for (const std::string& node : target_.nodes()) {
        wanted[node] = target_.connection(node).query("SELECT pg_current_wal_insert_lsn()").lsn(0, 0);
    }
    if (!wait_for_streams(options_.kafka, options_.topic_prefix, wanted, stop)) {
        throw TransientError(
            {"building projection " + record_.definition.name, "the daemon stops", "It goes on at its next start."});
    }
    kafka::Admin admin(options_.kafka, "keyshift-projection");
    admin.ensure_topic({topic_, options_.partitions, options_.replication_factor, {{"cleanup.policy", "delete"}}});
    if (admin.topic_config(topic_, "cleanup.policy").find("compact") != std::string::npos) {
        throw FatalError({"building projection " + record_.definition.name,
                          "topic " + topic_ + " is compacted: it may lose the event that carried a row's old key",
                          "Set cleanup.policy=delete on the topic, then drop and create the projection."});
    }
    Json offsets = Json::object();
    for (std::int32_t partition = 0; partition < consumer_.partitions(topic_); ++partition) {
        const std::int64_t end = consumer_.watermarks(topic_, partition).second;
        offsets[topic_][std::to_string(partition)] = end;
        record_.start_offsets[topic_][partition] = end;
    }
    // Behind the streams' progress, so behind the record of any truncation that the backfill does not see as rows.
    const std::string control = control_topic(options_.topic_prefix);
    control_next_ = consumer_.watermarks(control, 0).second;
    offsets[control]["0"] = *control_next_;
    catalog_.query("UPDATE keyshift.projection SET start_offsets = $2 WHERE id = $1",
                   {std::to_string(record_.id), offsets.dump()});
}

/// Nothing is skipped: where the topic does not hold the next event any more, only its rows can be read again.
void ProjectionRunner::check_kept()
{
    const int partitions = consumer_.partitions(topic_);
    if (partitions != static_cast<int>(next_.size())) {
        const std::string& name = record_.definition.name;
        throw FatalError({"keeping projection " + name,
                          fmt::format("topic {} has {} partitions, and this generation was begun with {}", topic_,
                                      partitions, next_.size()),
                          rebuilt_by(name)});
    }
    for (const auto& [partition, next] : next_) {
        const auto [first, end] = consumer_.watermarks(partition.first, partition.second);
        if (next >= first && next <= end) {
            continue;
        }
        const std::string& name = record_.definition.name;
        throw RowsNeeded({"keeping projection " + name,
                          fmt::format("partition {} of topic {} holds offsets {} to {}, and the next event is {}: {}",
                                      partition.second, partition.first, first, end, next,
                                      next < first ? "events were deleted (retention) before the projection had them"
                                                   : "the topic was deleted and made again"),
                          rebuilt_by(name)});
    }
}

/// What was lost while nobody read the control topic is found in it.
void ProjectionRunner::follow_progress()
{
    const std::string control = control_topic(options_.topic_prefix);
    const auto [first, end] = consumer_.watermarks(control, 0);
    const std::int64_t from = control_next_.value_or(end);
    if (from < first || from > end) {
        throw RowsNeeded(
            {"keeping projection " + record_.definition.name,
             fmt::format("the control topic {} holds offsets {} to {}, and the next record is {}: a TRUNCATE of "
                         "{}, or a gap in its changes, may have been told in what is gone",
                         control, first, end, from, record_.definition.base.to_string()),
             rebuilt_by(record_.definition.name)});
    }
    const QualifiedName& base = record_.definition.base;
    const pg::Result home = catalog_.query("SELECT coalesce(node, '') FROM keyshift.captured_table "
                                           "WHERE schema_name = $1 AND table_name = $2",
                                           {base.schema, base.name});
    shown_ = std::make_unique<ShownProgress>(
        options_.kafka, options_.topic_prefix, from,
        ProjectedTable{base.to_string(), topic_, home.rows() == 1 ? std::string(home.text(0, 0)) : std::string()});
}

/// Positions on the timeline before may be higher than any that is to come: wait_for would take them for these.
void ProjectionRunner::forget_shown(const std::string& source)
{
    untold_.erase(source);
    for (const std::string& node : target_.nodes()) {
        target_.connection(node).query(
            "DELETE FROM keyshift.projection_source WHERE projection = $1 AND generation = $2 AND node = $3 "
            "AND owner_epoch <= $4",
            {record_.definition.name, std::to_string(record_.definition.generation), source,
             std::to_string(owner_epoch_)});
    }
}

/// Whoever serves goes on with the events; what is gone it shows until the new generation takes its place, and nobody is told
/// that it is up to date meanwhile. Any other generation is of no use.
void ProjectionRunner::settle_loss()
{
    if (!shown_->loss() || renewal_.joinable()) {
        return;
    }
    const auto* gap = std::get_if<GapRecord>(&*shown_->loss());
    const ErrorParts why{"keeping projection " + record_.definition.name, why_lost(*shown_->loss()),
                         rebuilt_by(record_.definition.name)};
    if (!record_.serving) {
        throw RowsNeeded(why);
    }
    if (gap != nullptr) {
        forget_shown(gap->node);
    }
    renewal_ = std::jthread([this, why](std::stop_token stop) {
        for (Backoff backoff(200ms, 5s); !stop.stop_requested(); backoff.wait(stop)) {
            try {
                renew(catalog_settings_, record_.id, why, Meanwhile::kept, stop);
                return;
            } catch (const Error& error) {
                log::warning("projections", "projection={} not yet built anew: {}", record_.definition.name,
                             error.what());
            }
        }
    });
}

} // namespace keyshift::projections
