#include "cdc/source/schema_look.hpp"

#include "core/error.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <tuple>

namespace keyshift::cdc {

namespace {

bool same_type(const TypeSchema& left, const TypeSchema& right)
{
    const auto same_part = [](const auto& a, const auto& b) {
        return (a == nullptr) == (b == nullptr) && (a == nullptr || same_type(*a, *b));
    };
    const auto facts = [](const TypeSchema& type) {
        return std::tie(type.oid, type.name, type.kind, type.modifier, type.enum_labels);
    };
    return facts(left) == facts(right) && same_part(left.element, right.element) && same_part(left.base, right.base);
}

bool same_column(const ColumnSchema& left, const ColumnSchema& right)
{
    const auto facts = [](const ColumnSchema& column) {
        return std::tie(column.name, column.not_null, column.default_literal, column.has_default, column.default_call,
                        column.identity);
    };
    return facts(left) == facts(right) && same_type(left.type, right.type);
}

} // namespace

bool same_schema(const TableSchema& left, const TableSchema& right)
{
    return std::tie(left.root, left.key, left.order, left.identity) ==
               std::tie(right.root, right.key, right.order, right.identity) &&
           std::ranges::equal(left.columns, right.columns, same_column);
}

bool same_look(const Relation& left, const Relation& right)
{
    const auto same = [](const RelationColumn& a, const RelationColumn& b) {
        return std::tie(a.name, a.type_oid, a.type_modifier, a.identity) ==
               std::tie(b.name, b.type_oid, b.type_modifier, b.identity);
    };
    return left.identity == right.identity && std::ranges::equal(left.columns, right.columns, same);
}

bool fits(const TableSchema& table, const Relation& relation)
{
    const auto same = [](const ColumnSchema& column, const RelationColumn& announced) {
        // A domain's own modifier stands where the column has none.
        const bool modifier = column.type.modifier == announced.type_modifier || column.type.kind == 'd';
        return column.name == announced.name && column.type.oid == announced.type_oid && modifier &&
               column.identity == announced.identity;
    };
    return table.identity == relation.identity && std::ranges::equal(table.columns, relation.columns, same);
}

void check_identity(const Relation& relation, const TableSchema& table, const std::string& node)
{
    const bool complete =
        std::ranges::all_of(table.key, [&](std::size_t column) { return table.columns[column].identity; });
    if (relation.identity == 'i' && !complete) {
        throw FatalError(
            {fmt::format("capturing {} on {}", relation.name.to_string(), node),
             "its replica identity is an index that lacks a column of the primary key, so the key of an updated or "
             "deleted row is not in the WAL",
             fmt::format("ALTER TABLE {} REPLICA IDENTITY USING INDEX of an index that also has the primary key, or "
                         "REPLICA IDENTITY DEFAULT.",
                         relation.name.quoted())});
    }
}

} // namespace keyshift::cdc
