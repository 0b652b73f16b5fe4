#include "projections/commands/totals_check.hpp"

#include "projections/commands/comparison.hpp"

#include <fmt/core.h>

namespace keyshift::projections {

namespace {

std::string columns_of(const Definition& definition, bool groups_only)
{
    std::string list;
    for (const TotalColumn& column : total_columns(*definition.aggregation)) {
        if (column.group || !groups_only) {
            list += (list.empty() ? "" : ", ") + quote_identifier(column.name);
        }
    }
    return list;
}

std::string wanted_totals(const Definition& definition)
{
    return totals_query(definition, open_only(definition.name, definition.table()));
}

TotalsCheck check_node(pg::Connection& node, const Definition& definition)
{
    const pg::Result row = node.query(fmt::format(
        "WITH wanted AS MATERIALIZED ({}), stored AS MATERIALIZED (SELECT {} FROM {} WHERE \"_n\" <> 0 AND {}) "
        "SELECT (SELECT count(*) FROM wanted), (SELECT count(*) FROM (SELECT {groups} FROM (TABLE wanted EXCEPT ALL TABLE stored) a "
        "UNION SELECT {groups} FROM (TABLE stored EXCEPT ALL TABLE wanted) b) d)",
        wanted_totals(definition), columns_of(definition, false), definition.totals().quoted(),
        open_only(definition.name, definition.totals()), fmt::arg("groups", columns_of(definition, true))));
    return {row.integer(0, 0), row.integer(0, 1)};
}

} // namespace

TotalsCheck check_totals(std::vector<catalog::OpenNode>& nodes, const Definition& definition)
{
    TotalsCheck all;
    for (catalog::OpenNode& node : nodes) {
        if (definition.aggregation) {
            const TotalsCheck one = check_node(*node.connection, definition);
            all.groups += one.groups;
            all.different += one.different;
        }
    }
    return all;
}

std::int64_t repair_totals(std::vector<catalog::OpenNode>& nodes, const Definition& definition)
{
    std::int64_t repaired = 0;
    for (catalog::OpenNode& node : nodes) {
        if (!definition.aggregation || check_node(*node.connection, definition).different == 0) {
            continue;
        }
        pg::Transaction transaction(*node.connection);
        node.connection->query("SELECT FROM keyshift.local_bucket WHERE group_name = $1 AND state = 'open' "
                               "ORDER BY bucket FOR NO KEY UPDATE",
                               {definition.name});
        repaired += check_node(*node.connection, definition).different;
        node.connection->script(fmt::format("DELETE FROM {} WHERE {}", definition.totals().quoted(),
                                            open_only(definition.name, definition.totals())));
        node.connection->script(fmt::format("INSERT INTO {} ({}) {}", definition.totals().quoted(),
                                            columns_of(definition, false), wanted_totals(definition)));
        transaction.commit();
    }
    return repaired;
}

} // namespace keyshift::projections
