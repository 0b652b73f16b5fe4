#pragma once
/// What the checks before a distribution find, each with the DDL that mends it. Pure: works on definitions that were read.

#include "catalog/table_definition.hpp"

#include <nlohmann/json_fwd.hpp>

#include <map>
#include <string>
#include <vector>

namespace keyshift::catalog {

struct Finding {
    std::string check;
    std::string object;
    std::string severity; ///< "error" or "warning"
    std::string why;
    std::string fix; ///< SQL, may hold several statements; empty: none known
};
nlohmann::json to_json(const std::vector<Finding>& findings);

/// A table as it is, or will be, distributed. `group` empty: co-location is judged by key types and foreign keys alone.
struct PlannedTable {
    std::vector<std::string> key;
    std::vector<std::string> key_types;
    std::string group;
    bool reference = false; ///< not distributed at all: every node has a copy
};
using Plan = std::map<QualifiedName, PlannedTable>;

/// Facts of a key column that its TableDefinition does not hold.
struct KeyColumnFacts {
    bool enumeration = false;
    bool deterministic = true;
    bool hashable = true;
};
std::map<std::string, KeyColumnFacts> read_key_facts(pg::Connection& connection, const QualifiedName& table,
                                                     const std::vector<std::string>& key);

struct TableFacts {
    TableDefinition definition;
    std::vector<IncomingForeignKey> incoming;
    std::map<std::string, KeyColumnFacts> key_facts;
    std::vector<std::string> dependents; ///< as dependents_of() has them
    bool partition_or_child = false;     ///< has parents or children by inheritance
    int newest_server = 0;               ///< of the nodes that will have the table
};
TableFacts read_facts(pg::Connection& connection, const QualifiedName& table, const std::vector<std::string>& key);

/// Findings about one table of the plan, in the order in which their fixes can be applied: foreign keys, then NOT NULL,
/// the primary key, other keys. `incoming_may_wait`: a foreign key from a table outside the plan that could be
/// co-located later is a warning (distribute), else an error (doctor --plan, which was told the whole plan).
std::vector<Finding> check_table(const TableFacts& facts, const Plan& plan, bool incoming_may_wait);
/// check_table over several tables: all foreign keys before all keys, so that the fixes work from first to last.
std::vector<Finding> check_tables(const std::vector<TableFacts>& tables, const Plan& plan, bool incoming_may_wait);

} // namespace keyshift::catalog
