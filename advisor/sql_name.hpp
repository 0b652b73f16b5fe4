#pragma once
/// Names as people write them: quoted only where SQL or a shell would read them otherwise.

#include "core/names.hpp"

#include <string>

namespace keyshift::advisor {

/// user_id, "order", "Odd Name".
std::string sql_name(const std::string& name);
/// posts, shop.posts.
std::string sql_name(const QualifiedName& table);
/// An argument of a command: as it is, or in single quotes.
std::string shell_word(const std::string& text);

} // namespace keyshift::advisor
