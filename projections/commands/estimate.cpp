#include "projections/commands/estimate.hpp"

#include "catalog/rows.hpp"
#include "core/json.hpp"
#include "projections/commands/base_table.hpp"

#include <algorithm>

namespace keyshift::projections {

namespace {

// PostgreSQL's tuple header with its line pointer, and version, place and liveness of a register.
constexpr std::int64_t kRowOverhead = 28 + 25;
constexpr std::int64_t kIndexOverhead = 16;

struct Seen {
    std::int64_t rows = 0;
    std::int64_t width = 0; ///< of the columns, bytes
};

/// Statistics are of the leaves, as autovacuum leaves them.
Seen look(pg::Connection& node, const QualifiedName& table, const std::vector<std::string>& columns)
{
    const pg::Result row = node.query(R"(
WITH part AS (SELECT c.oid, c.relname, c.reltuples, n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
              WHERE c.relkind = 'r' AND (c.oid = $1::regclass OR c.oid IN (SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = $1::regclass)))
SELECT (SELECT coalesce(sum(greatest(reltuples, 0)), 0)::bigint FROM part),
       (SELECT coalesce(sum(coalesce(w.width, 16)), 0)::bigint FROM unnest($2::text[]) AS wanted(name)
        LEFT JOIN (SELECT s.attname, avg(s.avg_width) AS width FROM pg_catalog.pg_stats s JOIN part p ON p.nspname = s.schemaname AND p.relname = s.tablename
                   GROUP BY s.attname) w ON w.attname = wanted.name))",
                                      {table.quoted(), catalog::write_array(columns)});
    return {row.integer(0, 0), row.integer(0, 1)};
}

} // namespace

Estimate estimate(pg::Connection& catalog, const Definition& definition, const catalog::CapturedTable& base,
                  std::size_t nodes)
{
    std::vector<std::string> columns;
    for (const BaseColumn& column : definition.base_columns) {
        columns.push_back(column.name);
    }
    std::vector<std::string> identity = key_sources(definition);
    identity.insert(identity.end(), definition.pk.begin(), definition.pk.end());
    Estimate estimated;
    std::int64_t width = 0;
    std::int64_t indexed = 0;
    for (const catalog::Node& node : nodes_of(catalog, base)) {
        pg::Connection connection(node.connection("projection create"));
        const Seen seen = look(connection, base.name, columns);
        estimated.rows += seen.rows;
        width = std::max(width, seen.width);
        indexed = std::max(indexed, look(connection, base.name, identity).width);
    }
    estimated.writes = definition.everywhere ? static_cast<std::int64_t>(nodes) : 1;
    estimated.rows *= estimated.writes;
    estimated.bytes = estimated.rows * (width + kRowOverhead + indexed + kIndexOverhead);
    return estimated;
}

void add_estimate(nlohmann::json& plan, const Estimate& estimate)
{
    plan["estimated_rows"] = estimate.rows;
    plan["estimated_bytes"] = estimate.bytes;
    plan["writes_per_change"] = estimate.writes;
}

} // namespace keyshift::projections
