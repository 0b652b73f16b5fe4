#pragma once
/// What a DDL statement would change. Pure: the text comes in.

#include "core/names.hpp"

#include <optional>
#include <string>
#include <vector>

namespace keyshift::catalog {

struct DdlStatement {
    enum class Kind {
        transactional, ///< runs as it is, in a transaction
        create_index,
        truncate,
    };
    Kind kind = Kind::transactional;
    std::string text;                   ///< without a semicolon at its end
    std::vector<QualifiedName> tables;  ///< TRUNCATE may have several
    std::vector<QualifiedName> indexes; ///< of DROP INDEX and ALTER INDEX, instead of a table

    /// What it does to columns and constraints, as far as that may touch the shard key.
    std::vector<std::string> dropped_columns;
    std::vector<std::string> retyped_columns;
    std::vector<std::string> renamed_columns;
    std::vector<std::string> dropped_constraints;
    bool adds_primary_key = false;
    bool makes_trigger = false;
    bool row_security = false; ///< switches it, or makes, changes or drops a policy
    struct Key {
        std::string kind; ///< "PRIMARY KEY", "UNIQUE", "EXCLUDE"
        std::vector<std::string> columns;
    };
    std::vector<Key> new_keys;
    struct ForeignKey {
        std::vector<std::string> columns;
        QualifiedName referenced;
        std::vector<std::string> referenced_columns; ///< empty: its primary key
    };
    std::vector<ForeignKey> new_foreign_keys;

    /// Of CREATE INDEX.
    std::string index;      ///< its name
    std::string index_tail; ///< from the table's name on
    bool unique = false;
};

/// Throws RefusedError with the reason and what to do instead for a statement that `keyshift ddl` does not run.
DdlStatement read_ddl(const std::string& sql);

} // namespace keyshift::catalog
