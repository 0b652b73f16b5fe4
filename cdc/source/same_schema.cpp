#include "cdc/source/same_schema.hpp"

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
    return std::tie(left.root, left.key, left.identity) == std::tie(right.root, right.key, right.identity) &&
           std::ranges::equal(left.columns, right.columns, same_column);
}

} // namespace keyshift::cdc
