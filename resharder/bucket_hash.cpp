#include "resharder/bucket_hash.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace keyshift::resharder {

namespace {

/// Types whose extended hash depends on nothing but the value (an enum's is of a node's own OID).
constexpr std::array<std::string_view, 22> kPortable{
    "boolean", "smallint", "integer", "bigint", "real", "double precision", "numeric", "text", "character varying",
    "character", "uuid", "date", "time without time zone", "time with time zone", "timestamp without time zone",
    "timestamp with time zone", "interval", "bytea", "jsonb", "inet", "cidr", "macaddr",
};

bool portable(std::string type)
{
    if (type.ends_with("[]")) {
        type.resize(type.size() - 2);
    }
    const std::size_t open = type.find('(');
    if (open != std::string::npos) { // "character varying(20)", "timestamp(3) without time zone"
        const std::size_t close = type.find(')', open);
        type.erase(open, close - open + 1);
    }
    return std::find(kPortable.begin(), kPortable.end(), type) != kPortable.end();
}

} // namespace

std::string row_hash_expression(const MoveTable& table, const std::string& alias)
{
    std::string row;
    bool all_portable = true;
    for (const MoveColumn& column : table.columns) {
        row += (row.empty() ? "" : ", ") + alias + "." + quote_identifier(column.name);
        all_portable = all_portable && portable(column.type);
    }
    return all_portable ? "hash_record_extended(ROW(" + row + "), 0)" : "hashtextextended(ROW(" + row + ")::text COLLATE \"C\", 0)";
}

std::string leaf_hash(pg::Connection& node, const MoveTable& table, const std::string& quoted_leaf)
{
    const auto rows = node.query("SELECT count(*), coalesce(sum(" + row_hash_expression(table, "t") + "), 0) FROM ONLY " +
                                 quoted_leaf + " AS t");
    return std::string(rows.text(0, 0)) + ":" + std::string(rows.text(0, 1));
}

std::string bucket_hash(pg::Connection& node, const std::vector<MoveTable>& tables, const std::vector<std::string>& leaves)
{
    std::string all;
    for (std::size_t i = 0; i < tables.size(); ++i) {
        all += (i == 0 ? "" : " ") + tables[i].root.to_string() + "=" + leaf_hash(node, tables[i], leaves[i]);
    }
    return all;
}

} // namespace keyshift::resharder
