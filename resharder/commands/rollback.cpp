/// A job taken back: its buckets move to where they came from, by the same fenced switch, as a job of their own.

#include "catalog/catalog.hpp"
#include "catalog/node_access.hpp"
#include "core/json.hpp"
#include "resharder/commands/begin_job.hpp"
#include "resharder/commands/facts.hpp"
#include "resharder/commands/jobs.hpp"
#include "resharder/commands/plan_json.hpp"
#include "resharder/resharder.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keyshift::resharder {

namespace {

struct DoneMove {
    std::string group;
    BucketId bucket{};
    std::string donor;
    std::string recipient;
    std::int64_t epoch = 0;
};

std::vector<DoneMove> switched_moves(pg::Connection& catalog, const std::string& job)
{
    const auto rows = catalog.query("SELECT group_name, bucket, donor, recipient, epoch FROM keyshift.move "
                                    "WHERE job = $1 AND state IN ('switched', 'settling', 'done') ORDER BY id",
                                    {job});
    std::vector<DoneMove> moves;
    for (int row = 0; row < rows.rows(); ++row) {
        moves.push_back({std::string(rows.text(row, 0)), static_cast<BucketId>(rows.integer(row, 1)),
                         std::string(rows.text(row, 2)), std::string(rows.text(row, 3)), rows.integer(row, 4)});
    }
    return moves;
}

/// Throws when the bucket is no longer as this move left it.
void check_not_moved_on(pg::Connection& catalog, const std::string& what, const DoneMove& move)
{
    const std::string bucket = std::to_string(number(move.bucket));
    const auto now = catalog.query(
        "SELECT b.node, b.epoch, (SELECT max(m.job) FROM keyshift.move m WHERE m.group_name = b.group_name AND "
        "m.bucket = b.bucket AND m.epoch = b.epoch AND m.state IN ('switched', 'settling', 'done')) "
        "FROM keyshift.bucket b WHERE b.group_name = $1 AND b.bucket = $2",
        {move.group, bucket});
    if (now.rows() == 1 && now.text(0, 0) == move.recipient && now.integer(0, 1) == move.epoch) {
        return;
    }
    const std::string why = now.rows() == 0 ? fmt::format("bucket {} of {} does not exist any more", bucket, move.group)
                            : now.is_null(0, 2)
                                ? fmt::format("bucket {} of {} is on node {} by now, in epoch {}", bucket, move.group,
                                              now.text(0, 0), now.text(0, 1))
                                : fmt::format("bucket {} of {} has moved on since: job {} brought it to node {}",
                                              bucket, move.group, now.text(0, 2), now.text(0, 0));
    throw RefusedError(
        {what, why,
         fmt::format("move what should go back by name: `keyshift reshard start --to {} --buckets ...`", move.donor)});
}

void check_takes_buckets(const ClusterFacts& cluster, const std::string& what, const std::string& name)
{
    const auto found = std::find_if(cluster.nodes.begin(), cluster.nodes.end(),
                                    [&](const NodeFacts& node) { return node.name == name; });
    if (found == cluster.nodes.end()) {
        throw RefusedError(
            {what, "node " + name + ", where its buckets came from, is gone", "look at `keyshift node list`"});
    }
    if (found->draining) {
        throw RefusedError({what, "node " + name + ", where its buckets came from, is being drained",
                            "take it in again first: `keyshift node drain " + name + " --undo`"});
    }
}

std::vector<PlannedMove> back(pg::Connection& catalog, const ClusterFacts& cluster, const std::string& job,
                              const std::vector<DoneMove>& moves)
{
    std::vector<PlannedMove> planned;
    for (const DoneMove& move : moves) {
        const auto group = std::find_if(cluster.groups.begin(), cluster.groups.end(),
                                        [&](const GroupFacts& one) { return one.name == move.group; });
        const BucketFacts& bucket = group->buckets.at(move.bucket);
        PlannedMove back{move.group,   move.bucket, move.recipient, move.donor,
                         bucket.bytes, bucket.rows, bucket.writes,  "job " + job + " is taken back"};
        if (kept_copy(catalog, {{"group", move.group},
                                {"bucket", number(move.bucket)},
                                {"donor", move.recipient},
                                {"recipient", move.donor}})) {
            back.bytes = back.rows = 0;
            back.why += "; the copy on " + move.donor + " is current";
        }
        planned.push_back(std::move(back));
    }
    return planned;
}

} // namespace

nlohmann::json rollback(pg::Connection& catalog, std::int64_t job, bool dry_run)
{
    catalog::check_version(catalog);
    const std::string id = std::to_string(job_or_newest(catalog, job));
    const std::string what = "taking job " + id + " back";
    const catalog::CommandLock lock(catalog, what);
    refuse_unfinished_job(catalog, what);
    const auto moves = switched_moves(catalog, id);
    if (moves.empty()) {
        throw RefusedError({what, "it has moved no bucket", "look at `keyshift reshard status " + id + "`"});
    }
    const ClusterFacts cluster = read_cluster(catalog);
    for (const DoneMove& move : moves) {
        check_not_moved_on(catalog, what, move);
        check_takes_buckets(cluster, what, move.donor);
    }
    nlohmann::json planned = plan_json(cluster, back(catalog, cluster, id, moves), read_cost(catalog), {});
    planned["takes_back"] = job;
    if (!dry_run) {
        const std::int64_t begun = begin_job(catalog, what, planned);
        planned["job"] = begun;
    }
    return planned;
}

} // namespace keyshift::resharder
