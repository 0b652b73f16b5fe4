#pragma once
/// The schema a user has before sharding, with its two faults, and its rows.

#include "demo/settings.hpp"

namespace keyshift::demo {

/// Creates the database on every server, and on n1 the tables, loaded with a skew as real ones have: few users write
/// most posts, few posts get most interactions.
void create_databases(const Settings& settings);
void load_schema(const Settings& settings);

} // namespace keyshift::demo
