#pragma once
/// Table and type descriptions for tests of encoders.

#include "core/schema.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace keyshift::test {

inline TypeSchema type(const std::string& name, std::int32_t modifier = -1)
{
    TypeSchema made;
    made.name = name;
    made.modifier = modifier;
    made.kind = name.ends_with("range") ? (name.ends_with("multirange") ? 'm' : 'r') : 'b';
    return made;
}

inline TypeSchema array_of(const TypeSchema& element)
{
    TypeSchema made = type("_" + element.name, element.modifier);
    made.kind = 'b';
    made.element = std::make_shared<const TypeSchema>(element);
    return made;
}

inline TypeSchema domain_over(const TypeSchema& base)
{
    TypeSchema made = type("some_domain", base.modifier);
    made.kind = 'd';
    made.base = std::make_shared<const TypeSchema>(base);
    return made;
}

/// numeric(precision, scale) as atttypmod has it.
inline std::int32_t numeric_modifier(int precision, int scale)
{
    return (precision << 16 | (scale & 0x7FF)) + 4;
}

inline ColumnSchema column(const std::string& name, TypeSchema column_type, bool identity = false,
                           bool not_null = false)
{
    ColumnSchema made;
    made.name = name;
    made.type = std::move(column_type);
    made.identity = identity;
    made.not_null = not_null || identity;
    return made;
}

} // namespace keyshift::test
