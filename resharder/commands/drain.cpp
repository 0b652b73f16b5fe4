/// A node that leaves: while its state is 'draining' no plan gives it a bucket, and every plan takes what it has.

#include "catalog/catalog.hpp"
#include "catalog/node_access.hpp"
#include "core/json.hpp"
#include "resharder/commands/begin_job.hpp"
#include "resharder/resharder.hpp"

namespace keyshift::resharder {

namespace {

/// Captured tables that are not distributed: nothing moves them.
nlohmann::json tables_that_stay(pg::Connection& catalog, const std::string& node)
{
    nlohmann::json names = nlohmann::json::array();
    for (const catalog::CapturedTable& table : catalog::tables(catalog)) {
        if (table.group.empty() && table.node == node) {
            names.push_back(table.name.to_string());
        }
    }
    return names;
}

void set_state(pg::Connection& catalog, const std::string& node, const std::string& from, const std::string& to)
{
    const auto result =
        catalog.query("UPDATE keyshift.node SET state = $3 WHERE name = $1 AND state = $2", {node, from, to});
    if (result.affected() != 1) {
        throw RefusedError({"changing the state of node " + node, "it is not " + from + " any more",
                            "look at `keyshift node show " + node + "`"});
    }
    catalog::notify(catalog, "node");
}

void check_state(const catalog::Node& node, const std::string& what)
{
    if (node.state != "active" && node.state != "draining") {
        throw RefusedError({what, "its state is " + node.state, "look at `keyshift node list`"});
    }
}

} // namespace

nlohmann::json drain(pg::Connection& catalog, const std::string& name, bool dry_run)
{
    const std::string what = "draining node " + name;
    const catalog::CommandLock lock(catalog, "node drain " + name);
    const catalog::Node node = catalog::node(catalog, name);
    check_state(node, what);
    PlanWish wish;
    wish.drain = name;
    nlohmann::json planned = plan(catalog, wish);
    planned["drains"] = name;
    nlohmann::json result = planned;
    result["stays"] = tables_that_stay(catalog, name);
    result["job"] = nullptr;
    result["state"] = "draining";
    if (dry_run) {
        return result;
    }
    if (planned["moves"].empty()) {
        refuse_unfinished_job(catalog, what);
        set_state(catalog, name, node.state, "draining");
        return result;
    }
    result["job"] = begin_job(catalog, what, planned, [&] { set_state(catalog, name, node.state, "draining"); });
    return result;
}

nlohmann::json undo_drain(pg::Connection& catalog, const std::string& name, bool dry_run)
{
    const std::string what = "taking node " + name + " in again";
    const catalog::CommandLock lock(catalog, "node drain " + name + " --undo");
    const catalog::Node node = catalog::node(catalog, name);
    if (node.state != "draining") {
        throw RefusedError({what, "it is not being drained: its state is " + node.state, "nothing"});
    }
    const auto jobs = catalog.query(
        "SELECT id FROM keyshift.job WHERE kind = 'reshard' AND state IN ('running', 'paused') AND plan ->> 'drains' = $1",
        {name});
    if (jobs.rows() > 0) {
        const std::string job(jobs.text(0, 0));
        throw RefusedError({what, "job " + job + " is moving its buckets away",
                            "cancel it first: `keyshift reshard cancel " + job +
                                "`; what it has moved by then, "
                                "`keyshift reshard rollback " +
                                job + "` moves back"});
    }
    if (!dry_run) {
        set_state(catalog, name, "draining", "active");
    }
    return {{"node", name}, {"state", "active"}, {"dry_run", dry_run}};
}

} // namespace keyshift::resharder
