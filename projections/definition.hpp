#pragma once
/// A projection's definition as classified: what the runner needs to keep it, and nothing that can be looked up.
/// Stored as jsonb in keyshift.projection.definition. Kind "rekey": one captured table, shown under another key; "aggregate":
/// groups of its rows. A projection of several tables is a view over such definitions, one a table: its members.

#include "core/names.hpp"
#include "projections/aggregation.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace keyshift::projections {

/// A column of the base table that the definition or the row's identity needs.
struct BaseColumn {
    std::string name;
    std::string type;      ///< format_type with modifier: what a text value is cast to
    std::string type_name; ///< pg_type.typname of the type below any domain; of the element for arrays
    std::int32_t modifier = -1;
    bool array = false;
    /// How events carry it where the type alone does not say: cdc.decimal of a numeric, cdc.time of a date or time,
    /// cdc.binary of a bytea. Empty: the default.
    std::string form{};
    std::vector<std::string> former{}; ///< names that older events have, oldest first
    /// Of a key that is an expression: SQL over the columns `computed_from`. No column of the table, and in no event (ComputedKeys).
    std::string computed{};
    std::vector<std::string> computed_from{};
};
struct ProjectedColumn {
    std::string name;
    std::string type; ///< format_type
};

struct Definition {
    std::string name;
    int generation = 1;
    std::string view_schema;
    QualifiedName base;
    std::string alias;       ///< how the SELECT calls the base table
    std::string select_list; ///< as PostgreSQL's parser writes it
    std::string condition;   ///< of WHERE; empty: none
    std::vector<ProjectedColumn> columns;
    std::vector<std::string> key;      ///< columns of the projection
    std::vector<std::string> key_base; ///< the base columns they are, in the same order
    std::vector<std::string> key_types;
    std::vector<std::string> pk;       ///< primary key of the base table, in key order
    std::vector<std::string> pk_names; ///< what the projection's table calls them
    std::vector<BaseColumn> base_columns;
    std::vector<std::string> identity_indexes; ///< made for the replica identity; go with this projection
    bool identity_full = false;                ///< REPLICA IDENTITY FULL was set for it
    bool skip_null = false;                    ///< rows without a key are left out; its condition says so too

    std::string group;            ///< whose buckets it has; of a member: those of the projection it belongs to
    std::string part_of;          ///< the projection that it is a member of; empty: it is one by itself
    bool everywhere = false;      ///< every node has all rows of it, keyed by their primary key
    std::string routed_as_schema; ///< of the view by whose name keys are routed to its table; empty: by none
    std::vector<std::vector<std::string>> lookups; ///< columns that a join finds its rows by: each is an index

    std::optional<Aggregation> aggregation; ///< of a projection of groups

    QualifiedName table() const;  ///< keyshift."name__g1"
    QualifiedName totals() const; ///< keyshift."name__t1"; there is one where there is an aggregation
    QualifiedName view() const { return {view_schema, name}; }
    /// What its user calls it.
    const std::string& shown_name() const { return part_of.empty() ? name : part_of; }
    QualifiedName routed_as() const { return {routed_as_schema, shown_name()}; }
    std::size_t base_column(const std::string& column) const; ///< index; throws std::logic_error when there is none
};

/// What a row of the base table, under the definition's alias, has for the column, as text.
std::string text_of(const BaseColumn& column);
/// The columns of the base table that make the key, which the WAL must have of an old row.
std::vector<std::string> key_sources(const Definition& definition);
/// The key as the view's columns are called.
const std::vector<std::string>& shown_key(const Definition& definition);

nlohmann::json to_json(const Definition& definition);
Definition definition_from_json(const nlohmann::json& json);

} // namespace keyshift::projections
