#pragma once
/// A table's definition read from one server's catalogs and written as DDL for another (or for its partitioned twin):
/// columns, defaults, generated and identity columns, checks, keys, foreign keys, indexes, triggers, comments, storage,
/// owner, grants. No pg_dump: its version may be older than the server's.

#include "core/names.hpp"
#include "core/pg/connection.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace keyshift::catalog {

struct ColumnDefinition {
    std::string name;
    std::string type;         ///< format_type with modifier
    std::string element_type; ///< format_type without modifier
    std::string collation;    ///< empty: the type's own
    bool not_null = false;
    std::string default_expression; ///< empty: none
    char generated = 0;             ///< 's' stored
    char identity = 0;              ///< 'a', 'd'
    std::string storage;            ///< only where it differs from the type's
    std::string sequence_options;   ///< of an identity column: "SEQUENCE NAME ... START WITH ..."
};
struct ConstraintDefinition {
    std::string name;
    char kind = 0;           ///< p, u, f, c, x
    bool inheritable = true; ///< false: CHECK ... NO INHERIT
    std::string definition;  ///< pg_get_constraintdef
    std::vector<std::string> columns;
    QualifiedName referenced; ///< of a foreign key
    std::vector<std::string> referenced_columns;
};
struct IndexDefinition {
    std::string name;
    std::string definition; ///< pg_get_indexdef; not those behind constraints
    bool unique = false;
    std::vector<std::string> columns; ///< empty entries for expressions
};
struct TableDefinition {
    QualifiedName name;
    std::string owner;
    bool partitioned = false;
    bool unlogged = false;
    char replica_identity = 'd';
    std::vector<ColumnDefinition> columns;
    std::vector<ConstraintDefinition> constraints;
    std::vector<IndexDefinition> indexes;
    std::vector<std::string> triggers;    ///< pg_get_triggerdef, user triggers only
    std::vector<std::string> comments;    ///< COMMENT ON statements
    std::vector<std::string> grants;      ///< GRANT statements
    std::vector<std::string> alterations; ///< storage, statistics, trigger states, row security and its policies
    std::string replica_identity_index;   ///< of replica identity 'i'

    const ColumnDefinition* column(std::string_view column_name) const;
    const ConstraintDefinition* primary_key() const;
    /// Columns a COPY or INSERT may write (not generated), in order.
    std::vector<std::string> writable_columns() const;
    /// The first generated column in the replica identity; empty: none.
    std::string generated_identity() const;
};

/// From this version on UPDATE and DELETE of a published table fail where its generated_identity() is not empty.
constexpr int kRefusesGeneratedIdentity = 180000;

/// Throws Error(refused) when there is no such table.
TableDefinition read_table(pg::Connection& connection, const QualifiedName& table);

/// GRANT statements of a table or view, without its owner's own rights.
std::vector<std::string> read_grants(pg::Connection& connection, const QualifiedName& relation);

/// A foreign key of another table that points at this one.
struct IncomingForeignKey {
    QualifiedName table;
    ConstraintDefinition constraint;
};
std::vector<IncomingForeignKey> read_incoming_foreign_keys(pg::Connection& connection, const QualifiedName& table);

} // namespace keyshift::catalog
