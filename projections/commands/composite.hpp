#pragma once
/// A projection of several tables: a view over its members, each a definition of its own with its own stream, progress and
/// backfill (docs/adr/0023). Each generation has members of its own and a row in keyshift.composite (docs/adr/0028).

#include "core/pg/connection.hpp"
#include "projections/definition.hpp"

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <string>
#include <vector>

namespace keyshift::projections {

struct Composite {
    std::string name;
    int generation = 1;
    std::string view_schema;
    std::string sql;
    std::vector<std::string> key;
    std::vector<std::string> members; ///< names in keyshift.projection
    std::string view_query;           ///< over its members' views; empty: it was never replaced, and the nodes have it
    std::vector<ProjectedColumn> columns; ///< of the view, where view_query is known
    std::string keep_until;               ///< UTC; empty: nobody goes back to it
    std::optional<std::string> error;     ///< JSON

    QualifiedName view() const { return {view_schema, name}; }
};

/// The generation that serves; nullopt: no projection of this name reads several tables.
std::optional<Composite> read_composite(pg::Connection& catalog, const std::string& name);
/// The generation that a rebuild or a rollback has begun.
std::optional<Composite> read_composite_successor(pg::Connection& catalog, const std::string& name);
/// The generation that one may go back to.
std::optional<Composite> read_composite_kept(pg::Connection& catalog, const std::string& name);
/// Of any projection: those that wait for being looked after, since they are to take another's place or to go.
std::vector<Composite> unsettled_composites(pg::Connection& catalog);
/// Not serving, not kept, and not to go.
bool is_successor(pg::Connection& catalog, const Composite& composite);
bool is_to_go(pg::Connection& catalog, const Composite& composite);
/// By which names keyshift.projection has it: its members', or its own.
std::vector<std::string> members_of(pg::Connection& catalog, const std::string& name);
/// Those of all generations.
std::vector<std::string> all_members_of(pg::Connection& catalog, const std::string& name);
nlohmann::json columns_json(const std::vector<ProjectedColumn>& columns);
/// The member by whose table keys are routed; a projection of one table is its own.
std::string routed_member(pg::Connection& catalog, const std::string& name);
/// Of a member; "user_feed__m1".
std::string member_name(const std::string& projection, std::size_t number);

} // namespace keyshift::projections
