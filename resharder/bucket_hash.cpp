#include "resharder/bucket_hash.hpp"

#include "resharder/apply_statement.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace keyshift::resharder {

namespace {

/// Types whose extended hash depends on nothing but the value (an enum's is of a node's own OID).
constexpr std::array<std::string_view, 22> kPortable{
    "boolean",
    "smallint",
    "integer",
    "bigint",
    "real",
    "double precision",
    "numeric",
    "text",
    "character varying",
    "character",
    "uuid",
    "date",
    "time without time zone",
    "time with time zone",
    "timestamp without time zone",
    "timestamp with time zone",
    "interval",
    "bytea",
    "jsonb",
    "inet",
    "cidr",
    "macaddr",
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

std::string row_hash_expression(const MoveTable& table)
{
    std::string row;
    bool all_portable = true;
    for (const MoveColumn& column : table.columns) {
        row += (row.empty() ? "t." : ", t.") + quote_identifier(column.name);
        all_portable = all_portable && portable(column.type);
    }
    return all_portable ? "hash_record_extended(ROW(" + row + "), 0)"
                        : "hashtextextended(ROW(" + row + ")::text COLLATE \"C\", 0)";
}

RowSum read_sum(const pg::Result& rows)
{
    RowSum sum;
    sum.rows = rows.integer(0, 0);
    std::string_view text = rows.text(0, 1);
    const bool negative = text.starts_with('-');
    text.remove_prefix(negative ? 1 : 0);
    for (const char digit : text) {
        sum.hash = sum.hash * 10 + (digit - '0');
    }
    sum.hash = negative ? -sum.hash : sum.hash;
    return sum;
}

std::string sum_query(const MoveTable& table, const std::string& quoted_leaf)
{
    return "SELECT count(*), coalesce(sum(" + row_hash_expression(table) + "), 0) FROM ONLY " + quoted_leaf + " AS t";
}

} // namespace

std::string RowSum::to_string() const
{
    std::string digits;
    const bool negative = hash < 0;
    for (auto rest = negative ? -hash : hash; rest != 0; rest /= 10) {
        digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(rest % 10)));
    }
    return std::to_string(rows) + ":" + (negative ? "-" : "") + (digits.empty() ? "0" : digits);
}

RowSum leaf_sum(pg::Connection& node, const MoveTable& table, const std::string& quoted_leaf)
{
    return read_sum(node.query(sum_query(table, quoted_leaf)));
}

RowSum rows_sum(pg::Connection& node, const MoveTable& table, const std::string& quoted_leaf, const KeySet& keys)
{
    if (keys.empty()) {
        return {};
    }
    std::vector<std::string> arrays(table.primary_key.size(), "{");
    for (const auto& key : keys) {
        for (std::size_t i = 0; i < key.size(); ++i) {
            append_element(arrays[i], key[i]);
        }
    }
    std::string unnested;
    std::string names;
    std::string condition;
    std::vector<pg::Parameter> parameters;
    for (std::size_t i = 0; i < arrays.size(); ++i) {
        arrays[i] += '}';
        parameters.emplace_back(arrays[i]);
        const auto column = std::find_if(table.columns.begin(), table.columns.end(),
                                         [&](const MoveColumn& one) { return one.name == table.primary_key[i]; });
        const std::string place = std::to_string(i);
        unnested += (i == 0 ? "$" : ", $") + std::to_string(i + 1) + "::text[]";
        names += (i == 0 ? "k" : ", k") + place;
        condition +=
            (i == 0 ? "t." : " AND t.") + quote_identifier(column->name) + " = v.k" + place + "::" + column->type;
    }
    return read_sum(
        node.query(sum_query(table, quoted_leaf) + " JOIN unnest(" + unnested + ") AS v(" + names + ") ON " + condition,
                   parameters));
}

std::string describe(const std::vector<MoveTable>& tables, const std::vector<RowSum>& sums)
{
    std::string all;
    for (std::size_t i = 0; i < tables.size(); ++i) {
        all += (i == 0 ? "" : " ") + tables[i].root.to_string() + "=" + sums[i].to_string();
    }
    return all;
}

std::string bucket_hash(pg::Connection& node, const std::vector<MoveTable>& tables,
                        const std::vector<std::string>& leaves)
{
    std::vector<RowSum> sums;
    for (std::size_t i = 0; i < tables.size(); ++i) {
        sums.push_back(leaf_sum(node, tables[i], leaves[i]));
    }
    return describe(tables, sums);
}

} // namespace keyshift::resharder
