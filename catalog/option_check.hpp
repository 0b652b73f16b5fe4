#pragma once
/// Checks a table's capture options against the table on one node and against the projections that read its events.

#include "core/capture_options.hpp"
#include "core/names.hpp"
#include "core/pg/connection.hpp"

#include <string>
#include <vector>

namespace keyshift::catalog {

/// A table's columns as far as options need them.
struct OptionTable {
    struct Column {
        std::string name;
        std::string type; ///< pg_type.typname of the type below any domain
        bool enumeration = false;
        bool identity = false; ///< in the replica identity of every leaf
        bool row_key = false;  ///< tells rows apart: primary key, or the unique index in its place
    };
    QualifiedName name;
    std::vector<Column> columns;
};
OptionTable read_option_table(pg::Connection& node, const QualifiedName& table);

/// Throws Error(refused) for unknown columns, for types of which an option makes no sense, for keys that events cannot do
/// without. `former`: columns that may be gone though the WAL still has their values.
void check_options(const std::string& what, const OptionTable& table, const std::vector<std::string>& former,
                   const CaptureOptions& options);

/// Puts the table with this row filter into the publication, as it is to be from this transaction on. Throws Error(refused)
/// for a condition that PostgreSQL does not take, or that needs columns which the old row in the WAL does not have.
void publish_rows(const std::string& what, pg::Connection& node, const std::string& publication,
                  const QualifiedName& table, const std::string& where);

/// Throws Error(refused) when a projection reads the table in a way that these options would falsify: it is filled and
/// verified from the rows as they are. Call with the captured_table row locked.
void refuse_for_projections(const std::string& what, pg::Connection& catalog, const OptionTable& table,
                            const CaptureOptions& options);
/// The reason why a projection over these columns of the table cannot be right; empty: none.
std::string projection_conflict(const CaptureOptions& options, const std::vector<std::string>& row_key,
                                const std::vector<std::string>& columns);

} // namespace keyshift::catalog
