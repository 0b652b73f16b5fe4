#include "resharder/commands/begin_job.hpp"

#include "catalog/catalog.hpp"
#include "catalog/split/split_record.hpp"
#include "core/backoff.hpp"
#include "core/json.hpp"
#include "resharder/commands/facts.hpp"
#include "resharder/commands/plan_json.hpp"

#include <set>

namespace keyshift::resharder {

namespace {

using namespace std::chrono_literals;

void refuse_paused_capture(pg::Connection& catalog, const std::string& what)
{
    for (const catalog::Node& node : catalog::nodes(catalog)) {
        if (node.capture_paused) {
            throw RefusedError({what, "the capture of " + node.name + " is paused, and moves need it",
                                "resume it: `keyshift cdc resume " + node.name + "`"});
        }
    }
}

void refuse_running_snapshot(pg::Connection& catalog, const std::string& what, const nlohmann::json& moves)
{
    const auto rows = catalog.query(
        "SELECT DISTINCT t.group_name FROM keyshift.snapshot s JOIN keyshift.captured_table t ON t.id = s.table_id "
        "WHERE s.state <> 'done' AND (s.state IN ('pending', 'running') OR s.condition IS NULL) AND t.group_name IS NOT NULL");
    for (int row = 0; row < rows.rows(); ++row) {
        for (const auto& move : moves) {
            if (move.at("group").get<std::string>() == rows.text(row, 0)) {
                throw RefusedError({what,
                                    "rows of group " + std::string(rows.text(row, 0)) +
                                        " are still being written to Kafka as snapshot events",
                                    "run the daemon (`keyshift run`) and wait; see `keyshift cdc status`"});
            }
        }
    }
}

/// Unfinished moves of the buckets, but for those whose copies will be taken over.
std::int64_t settling(pg::Connection& catalog, const nlohmann::json& moves)
{
    std::int64_t left = 0;
    for (const auto& move : moves) {
        if (kept_copy(catalog, move)) {
            continue;
        }
        const std::string group = move.at("group");
        const std::string bucket = std::to_string(move.at("bucket").get<std::uint32_t>());
        left +=
            catalog
                .query(
                    "SELECT count(*) FROM keyshift.move WHERE group_name = $1 AND bucket = $2 AND state NOT IN ('done', 'aborted')",
                    {group, bucket})
                .integer(0, 0);
    }
    return left;
}

/// A bucket whose last move still keeps the donor's frozen copy cannot move again: its grace period is ended now, unless it
/// goes back to where that copy is current.
void end_grace(pg::Connection& catalog, const std::string& what, const nlohmann::json& moves)
{
    for (const auto& move : moves) {
        if (kept_copy(catalog, move)) {
            continue;
        }
        const std::string group = move.at("group");
        const std::string bucket = std::to_string(move.at("bucket").get<std::uint32_t>());
        catalog.query(
            "UPDATE keyshift.move SET settle_until = now() WHERE group_name = $1 AND bucket = $2 AND state = 'settling'",
            {group, bucket});
    }
    catalog::notify(catalog, "job");
    for (int tries = 0;; ++tries) {
        const std::int64_t left = settling(catalog, moves);
        if (left == 0) {
            return;
        }
        if (tries == 300) {
            throw RefusedError({what, std::to_string(left) + " of its buckets are still settling from their last move",
                                "let the daemon run and try again; `keyshift reshard explain` says what holds them"});
        }
        sleep_for(100ms, std::stop_token());
    }
}

void preflight_nodes(pg::Connection& catalog, const std::string& what, const nlohmann::json& moves)
{
    std::set<std::string> names;
    for (const auto& move : moves) {
        names.insert(move.at("donor"));
        names.insert(move.at("recipient"));
    }
    NodeConnections connections(catalog, "reshard start");
    for (const std::string& name : names) {
        const auto rows = connections.to(name).query(
            "SELECT to_regclass('keyshift.local_bucket') IS NOT NULL AND to_regclass('keyshift.move_progress') IS NOT NULL, "
            "(SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database())");
        if (!rows.boolean(0, 0)) {
            throw RefusedError(
                {what, "node " + name + " lacks the schema keyshift", "run `keyshift node add` for it again"});
        }
        if (rows.integer(0, 1) > 0) {
            throw RefusedError(
                {what, "node " + name + " has prepared transactions; their locks would hold each fence off",
                 "finish them: SELECT gid FROM pg_prepared_xacts; then COMMIT PREPARED or ROLLBACK PREPARED"});
        }
    }
}

/// The move whose copy is taken over, which settles no further until it is.
std::optional<std::string> keep_for_taking_over(pg::Connection& catalog, const nlohmann::json& move)
{
    const auto kept = kept_copy(catalog, move);
    if (!kept) {
        return std::nullopt;
    }
    const std::string id = std::to_string(*kept);
    const auto held = catalog.query(
        "UPDATE keyshift.move SET settle_until = 'infinity' WHERE id = $1 AND state = 'settling' AND settle_until > now()",
        {id});
    return held.affected() == 1 ? std::optional(id) : std::nullopt;
}

std::int64_t store(pg::Connection& catalog, const std::string& what, const nlohmann::json& planned,
                   const std::function<void()>& together)
{
    pg::Transaction transaction(catalog);
    catalog.query("LOCK TABLE keyshift.job IN SHARE ROW EXCLUSIVE MODE");
    refuse_unfinished_job(catalog, what);
    const std::int64_t job =
        catalog.query("INSERT INTO keyshift.job (plan) VALUES ($1::jsonb) RETURNING id", {planned.dump()})
            .integer(0, 0);
    for (const auto& move : planned.at("moves")) {
        const std::string group = move.at("group");
        const std::string donor = move.at("donor");
        const std::string recipient = move.at("recipient");
        const auto stored = catalog.query(
            "INSERT INTO keyshift.move (job, group_name, bucket, donor, recipient, epoch, token, planned_bytes, planned_rows, adopts) "
            "SELECT $1, b.group_name, b.bucket, b.node, $5, b.epoch + 1, gen_random_uuid()::text, $6, $7, $8 "
            "FROM keyshift.bucket b WHERE b.group_name = $2 AND b.bucket = $3 AND b.node = $4 "
            "AND EXISTS (SELECT FROM keyshift.node n WHERE n.name = $5 AND n.state = 'active')",
            {std::to_string(job), group, std::to_string(move.at("bucket").get<std::uint32_t>()), donor, recipient,
             std::to_string(move.at("bytes").get<std::int64_t>()), std::to_string(move.at("rows").get<std::int64_t>()),
             keep_for_taking_over(catalog, move)});
        if (stored.affected() != 1) {
            throw RefusedError({what, "the placement has changed since the plan was made", "plan again"});
        }
    }
    if (together) {
        together();
    }
    catalog::notify(catalog, "job");
    transaction.commit();
    return job;
}

} // namespace

std::optional<std::int64_t> kept_copy(pg::Connection& catalog, const nlohmann::json& move)
{
    const auto rows = catalog.query(
        "SELECT id FROM keyshift.move WHERE group_name = $1 AND bucket = $2 AND donor = $3 AND recipient = $4 "
        "AND state = 'settling' AND reverse_position IS NOT NULL AND settle_until > now()",
        {move.at("group").get<std::string>(), std::to_string(move.at("bucket").get<std::uint32_t>()),
         move.at("recipient").get<std::string>(), move.at("donor").get<std::string>()});
    return rows.rows() == 0 ? std::nullopt : std::optional(rows.integer(0, 0));
}

void refuse_unfinished_job(pg::Connection& catalog, const std::string& what)
{
    const auto rows = catalog.query(
        "SELECT id, state FROM keyshift.job WHERE kind = 'reshard' AND state IN ('running', 'paused') LIMIT 1");
    if (rows.rows() > 0) {
        const std::string job(rows.text(0, 0));
        throw RefusedError({what, "job " + job + " is still " + std::string(rows.text(0, 1)),
                            "wait for it (`keyshift reshard status " + job + "`) or cancel it"});
    }
}

std::int64_t begin_job(pg::Connection& catalog, const std::string& what, const nlohmann::json& planned,
                       const std::function<void()>& together)
{
    const nlohmann::json& moves = planned.at("moves");
    refuse_unfinished_job(catalog, what);
    catalog::refuse_unfinished_split(catalog, what);
    refuse_short_disk(what, planned);
    refuse_paused_capture(catalog, what);
    refuse_running_snapshot(catalog, what, moves);
    preflight_nodes(catalog, what, moves);
    end_grace(catalog, what, moves);
    return store(catalog, what, planned, together);
}

} // namespace keyshift::resharder
