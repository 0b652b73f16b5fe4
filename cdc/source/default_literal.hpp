#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace keyshift::cdc {

/// The value of a column default that is a constant, as pg_get_expr prints it: 'abc'::text, E'a\\b', 42, '-1'::integer,
/// true. The value is in the type's output format. nullopt: NULL, or an expression that must be evaluated.
std::optional<std::string> default_literal(std::string_view expression);

/// A default that begins with a function call, as pg_get_expr prints it: now(), (random() * 2).
bool is_call(std::string_view expression);

} // namespace keyshift::cdc
