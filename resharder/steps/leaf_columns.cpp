#include "resharder/steps/leaf_columns.hpp"

#include "core/json.hpp"

#include <fmt/format.h>

namespace keyshift::resharder {

std::vector<std::string> leaf_columns(pg::Connection& node, const std::vector<MoveTable>& tables)
{
    nlohmann::json leaves = nlohmann::json::array();
    for (const MoveTable& table : tables) {
        leaves.push_back(table.leaf.quoted());
    }
    const auto rows = node.query(
        "SELECT (SELECT string_agg(format('%I %s%s%s', attname, format_type(atttypid, atttypmod), "
        "CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END, CASE WHEN attgenerated <> '' THEN ' GENERATED' ELSE '' END), "
        "', ' ORDER BY attname) FROM pg_attribute WHERE attrelid = to_regclass(t.leaf) AND attnum > 0 AND NOT attisdropped) "
        "FROM jsonb_array_elements_text($1::jsonb) WITH ORDINALITY AS t(leaf, place) ORDER BY t.place",
        {leaves.dump()});
    std::vector<std::string> columns;
    for (int row = 0; row < rows.rows(); ++row) {
        columns.emplace_back(rows.text(row, 0));
    }
    return columns;
}

void refuse_other_columns(const MoveContext& context, const std::vector<std::string>& donor,
                          const std::vector<std::string>& recipient)
{
    for (std::size_t at = 0; at < context.tables.size(); ++at) {
        if (donor[at] != recipient[at]) {
            throw RefusedError({fmt::format("moving {} from {} to {}", context.move().subject(), context.move().donor,
                                            context.move().recipient),
                                fmt::format("columns of {} differ: donor has ({}), recipient ({})",
                                            context.tables[at].leaf.to_string(), donor[at], recipient[at]),
                                "make the table the same on both nodes: `keyshift doctor` names the statement"});
        }
    }
}

} // namespace keyshift::resharder
