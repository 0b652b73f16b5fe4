#pragma once
/// A projection of several tables: a view over its members, each a definition of its own with its own stream, progress and
/// backfill (docs/adr/0023). Its row is in keyshift.composite.

#include "core/pg/connection.hpp"

#include <optional>
#include <string>
#include <vector>

namespace keyshift::projections {

struct Composite {
    std::string name;
    std::string view_schema;
    std::string sql;
    std::vector<std::string> key;
    std::vector<std::string> members; ///< names in keyshift.projection
};

/// nullopt: no projection of this name reads several tables.
std::optional<Composite> read_composite(pg::Connection& catalog, const std::string& name);
/// By which names keyshift.projection has it: its members', or its own.
std::vector<std::string> members_of(pg::Connection& catalog, const std::string& name);
/// The member by whose table keys are routed; a projection of one table is its own.
std::string routed_member(pg::Connection& catalog, const std::string& name);
/// Of a member; "user_feed__m1".
std::string member_name(const std::string& projection, std::size_t number);

} // namespace keyshift::projections
