#pragma once
/// Drives every unfinished job of the catalog, one bucket group at a time per node (docs/architecture.md).

#include "cdc/source/subscription.hpp"
#include "core/pg/connection.hpp"
#include "resharder/options.hpp"

#include <nlohmann/json_fwd.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace keyshift::metrics {
struct ReshardMetrics;
}

namespace keyshift::resharder {

class Resharder {
public:
    /// `stream` gives the stream of a node, nullptr while there is none.
    using StreamOf = std::function<cdc::StreamPort*(const std::string& node)>;
    /// A change of `options` takes effect on moves that run.
    Resharder(pg::ConnectionSettings catalog, StreamOf stream, std::shared_ptr<const LiveOptions> options,
              metrics::ReshardMetrics& metrics);
    ~Resharder();
    /// Works until stop; transient faults are retried inside, a move's fatal error is stored in its row.
    void run(std::stop_token stop);

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// What the user wishes of a plan.
struct PlanWish {
    std::vector<std::string> to; ///< only these recipients; empty: all active nodes
    std::vector<std::uint32_t> buckets;
    std::string group;                        ///< of the named buckets; empty: of every group that has them
    std::optional<std::string> drain;         ///< move everything off this node
    std::string by = "count";                 ///< count | size | load
    double threshold = 0.1;                   ///< by size and load: part of the mean below which differences are left
    double improvement = 0.25;                ///< by size and load: part of what a move could gain that it must gain
    std::chrono::milliseconds sample{10'000}; ///< by load: how long rows written are counted
    MoveCaps caps;                            ///< for the estimate of time
};
/// {"plan":"<id>","moves":[{group,bucket,donor,recipient,bytes,rows,why}],"bytes":..,"seconds":..,"nodes":[...]}; changes nothing.
nlohmann::json plan(pg::Connection& catalog, const PlanWish& wish);
/// Stores job and moves, notifies the daemon; the job's number. `plan_id`: refused when the placement has changed since.
/// Throws Error(refused) when a job is unfinished, a snapshot is running or a preflight check fails.
std::int64_t start(pg::Connection& catalog, const PlanWish& wish, const std::optional<std::string>& plan_id);
/// No plan gives the node a bucket from now on, and a job moves away what it has; refused while another job runs. The plan,
/// with "job" (null: it owns nothing) and "stays": the tables that nothing moves away.
nlohmann::json drain(pg::Connection& catalog, const std::string& node, bool dry_run);
/// The node takes buckets again; what was moved away stays there. Refused while the job that drains it runs.
nlohmann::json undo_drain(pg::Connection& catalog, const std::string& node, bool dry_run);
/// Moves the buckets of a job that has ended back, as a job of their own, which names it. The plan, with "takes_back" and
/// "job". Refused when it has moved nothing, when a bucket has moved on since, or while another job runs.
nlohmann::json rollback(pg::Connection& catalog, std::int64_t job, bool dry_run);
/// docs/interface.md: `reshard status`. nullopt: the newest job.
nlohmann::json status(pg::Connection& catalog, std::optional<std::int64_t> job);
nlohmann::json list(pg::Connection& catalog);
void pause(pg::Connection& catalog, std::int64_t job);
void resume(pg::Connection& catalog, std::int64_t job);
/// Refused when every move is past its fence.
void cancel(pg::Connection& catalog, std::int64_t job);
/// What each unfinished move waits for: pid, query, lock.
nlohmann::json explain(pg::Connection& catalog, std::optional<std::int64_t> job);
/// Every bucket's hash donor against recipient while both exist, and that no node holds rows of a bucket it does not own.
nlohmann::json verify(pg::Connection& catalog, std::optional<std::int64_t> job);

} // namespace keyshift::resharder
