#include "catalog/catalog.hpp"
#include "core/json.hpp"
#include "resharder/commands/facts.hpp"
#include "resharder/commands/jobs.hpp"
#include "resharder/resharder.hpp"

namespace keyshift::resharder {

namespace {

/// What donor and recipient held under the lock of each switch.
nlohmann::json compared(pg::Connection& catalog, const std::string& job, int& differences)
{
    const auto rows = catalog.query(
        "SELECT id, group_name, bucket, donor, recipient, state, donor_hash, recipient_hash, verified FROM keyshift.move "
        "WHERE job = $1 AND state IN ('fenced', 'switched', 'settling', 'done') ORDER BY id",
        {job});
    nlohmann::json moves = nlohmann::json::array();
    for (int row = 0; row < rows.rows(); ++row) {
        const bool equal = rows.boolean(row, 8) && rows.text(row, 6) == rows.text(row, 7);
        differences += equal ? 0 : 1;
        moves.push_back({{"move", rows.integer(row, 0)},
                         {"group", std::string(rows.text(row, 1))},
                         {"bucket", rows.integer(row, 2)},
                         {"donor", std::string(rows.text(row, 3))},
                         {"recipient", std::string(rows.text(row, 4))},
                         {"state", std::string(rows.text(row, 5))},
                         {"donor_hash", std::string(rows.text(row, 6))},
                         {"recipient_hash", std::string(rows.text(row, 7))},
                         {"equal", equal}});
    }
    return moves;
}

/// Leaves of buckets that a node neither owns nor keeps frozen, and that hold rows all the same.
nlohmann::json strays(pg::Connection& catalog)
{
    nlohmann::json found = nlohmann::json::array();
    NodeConnections connections(catalog, "reshard verify");
    for (const catalog::CapturedTable& table : catalog::tables(catalog)) {
        if (table.group.empty()) {
            continue;
        }
        for (const catalog::Node& node : catalog::nodes(catalog)) {
            if (node.state == "removed") {
                continue;
            }
            pg::Connection& connection = connections.to(node.name);
            const auto closed = connection.query(
                "SELECT bucket FROM keyshift.local_bucket WHERE group_name = $1 AND state = 'closed' AND move IS NULL "
                "ORDER BY bucket",
                {table.group});
            for (int row = 0; row < closed.rows(); ++row) {
                const auto leaf = catalog::leaf_name(table.name, static_cast<BucketId>(closed.integer(row, 0)));
                if (connection.query("SELECT EXISTS (SELECT FROM ONLY " + leaf.quoted() + ")").boolean(0, 0)) {
                    found.push_back(
                        {{"node", node.name}, {"table", leaf.to_string()}, {"bucket", closed.integer(row, 0)}});
                }
            }
        }
    }
    return found;
}

} // namespace

nlohmann::json verify(pg::Connection& catalog, std::optional<std::int64_t> job)
{
    const std::int64_t id = job_or_newest(catalog, job);
    int differences = 0;
    nlohmann::json moves = compared(catalog, std::to_string(id), differences);
    nlohmann::json rows = strays(catalog);
    differences += static_cast<int>(rows.size());
    return {{"job", id},
            {"moves", std::move(moves)},
            {"rows_on_wrong_node", std::move(rows)},
            {"differences", differences}};
}

} // namespace keyshift::resharder
