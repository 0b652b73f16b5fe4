#include "catalog/catalog.hpp"
#include "core/json.hpp"
#include "core/pg/blockers.hpp"
#include "resharder/bucket_move.hpp"
#include "resharder/commands/facts.hpp"
#include "resharder/commands/jobs.hpp"
#include "resharder/resharder.hpp"

#include <fmt/format.h>

namespace keyshift::resharder {

namespace {

using namespace std::chrono_literals;

nlohmann::json holders(NodeConnections& connections, const std::string& node, const std::vector<QualifiedName>& tables)
try {
    nlohmann::json list = nlohmann::json::array();
    for (const pg::Blocker& blocker : pg::blockers(connections.to(node), tables, false, 0ms)) {
        list.push_back({{"node", node},
                        {"pid", blocker.pid ? nlohmann::json(*blocker.pid) : nlohmann::json()},
                        {"user", blocker.user},
                        {"application", blocker.application},
                        {"state", blocker.state},
                        {"table", blocker.table},
                        {"lock", blocker.lock},
                        {"seconds", blocker.seconds},
                        {"query", blocker.query}});
    }
    return list;
} catch (const Error& error) {
    return nlohmann::json::array({{{"node", node}, {"error", error.what()}}});
}

} // namespace

nlohmann::json explain(pg::Connection& catalog, std::optional<std::int64_t> job)
{
    const std::string id = std::to_string(job_or_newest(catalog, job));
    const auto rows = catalog.query(
        "SELECT id, group_name, bucket, donor, recipient, state, waiting_for, fence_tries FROM keyshift.move "
        "WHERE job = $1 AND state NOT IN ('planned', 'done', 'aborted') ORDER BY id",
        {id});
    NodeConnections connections(catalog, "reshard explain");
    nlohmann::json moves = nlohmann::json::array();
    for (int row = 0; row < rows.rows(); ++row) {
        std::vector<QualifiedName> tables;
        for (const auto& table : catalog::tables_of_group(catalog, rows.text(row, 1))) {
            tables.push_back(table.name);
            tables.push_back(catalog::leaf_name(table.name, static_cast<BucketId>(rows.integer(row, 2))));
        }
        nlohmann::json locks = holders(connections, std::string(rows.text(row, 3)), tables);
        const nlohmann::json there = holders(connections, std::string(rows.text(row, 4)), tables);
        locks.insert(locks.end(), there.begin(), there.end());
        moves.push_back(
            {{"move", rows.integer(row, 0)},
             {"group", std::string(rows.text(row, 1))},
             {"bucket", rows.integer(row, 2)},
             {"state", std::string(rows.text(row, 5))},
             {"fence_tries", rows.integer(row, 7)},
             {"waiting_for", rows.is_null(row, 6) ? nlohmann::json() : nlohmann::json(std::string(rows.text(row, 6)))},
             {"locks", std::move(locks)}});
    }
    return {{"job", std::stoll(id)}, {"moves", std::move(moves)}};
}

} // namespace keyshift::resharder
