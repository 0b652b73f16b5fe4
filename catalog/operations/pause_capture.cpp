#include "catalog/operations.hpp"

#include "catalog/node_access.hpp"
#include "core/error.hpp"
#include "core/json.hpp"

#include <fmt/format.h>

namespace keyshift::catalog {

namespace {

void refuse_under_a_job(pg::Connection& catalog)
{
    const pg::Result jobs =
        catalog.query("SELECT id FROM keyshift.job WHERE kind = 'reshard' AND state IN ('running', 'paused') LIMIT 1");
    if (jobs.rows() > 0) {
        throw RefusedError({"cdc pause", fmt::format("reshard job {} needs the streams", jobs.text(0, 0)),
                            fmt::format("Wait for it, or `keyshift reshard cancel {}`.", jobs.text(0, 0))});
    }
}

nlohmann::json set_paused(pg::Connection& catalog, const std::optional<std::string>& only, bool paused, bool dry_run)
{
    check_version(catalog);
    const CommandLock lock(catalog, paused ? "cdc pause" : "cdc resume");
    if (only) {
        static_cast<void>(node(catalog, *only)); // refuses an unknown one
    }
    if (paused) {
        refuse_under_a_job(catalog);
    }
    nlohmann::json changed = nlohmann::json::array();
    for (const Node& one : nodes(catalog)) {
        if ((only && one.name != *only) || one.capture_paused == paused) {
            continue;
        }
        if (!dry_run) {
            catalog.query("UPDATE keyshift.node SET capture_paused = $2::boolean WHERE name = $1",
                          {one.name, paused ? "true" : "false"});
        }
        changed.push_back({{"node", one.name}, {"capture", paused ? "paused" : "running"}});
    }
    if (!dry_run) {
        notify(catalog, "node");
    }
    return changed;
}

} // namespace

nlohmann::json pause_capture(pg::Connection& catalog, const std::optional<std::string>& node, bool dry_run)
{
    return set_paused(catalog, node, true, dry_run);
}

nlohmann::json resume_capture(pg::Connection& catalog, const std::optional<std::string>& node, bool dry_run)
{
    return set_paused(catalog, node, false, dry_run);
}

} // namespace keyshift::catalog
