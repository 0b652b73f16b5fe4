#pragma once
/// The table that gives way when a table is distributed (or brought together again), and what its successor takes over from
/// it beside the definition: sequences with their state, other people's publications. Inside the caller's transaction.

#include "catalog/table_definition.hpp"

#include <string>
#include <vector>

namespace keyshift::catalog {

/// A sequence that a column owns, with its state. Identity sequences go with the old table and are made anew.
struct OwnedSequence {
    QualifiedName name;
    std::string column;
    bool identity = false;
    std::string last_value;
    bool is_called = false;
};

std::vector<OwnedSequence> read_sequences(pg::Connection& connection, const QualifiedName& table);
/// Those that are no identity's belong to nobody from now on, and survive the table.
void release_sequences(pg::Connection& connection, const std::vector<OwnedSequence>& sequences);
/// The successor owns them; its identity columns go on where the old ones were.
void restore_sequences(pg::Connection& connection, const QualifiedName& table,
                       const std::vector<OwnedSequence>& sequences);

/// On another node, where the sequences of the table's serial columns were made by themselves: its columns own them there too.
void adopt_sequences(pg::Connection& from, pg::Connection& to, const QualifiedName& table);

std::vector<std::string> publications_of(pg::Connection& connection, const QualifiedName& table);

/// Views, functions, columns and policies of other tables that would go with the table: "view public.v", as PostgreSQL describes
/// them.
std::vector<std::string> dependents_of(pg::Connection& connection, const QualifiedName& table);

/// DROP TABLE `stands_at`; throws RefusedError that names `table` where views or functions depend on it.
void drop_replaced(pg::Connection& connection, const QualifiedName& table, const QualifiedName& stands_at);

} // namespace keyshift::catalog
