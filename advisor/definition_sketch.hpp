#pragma once
/// A projection's definition in the making: statements with the same tables and key share one. Pure.

#include "advisor/reach.hpp"
#include "advisor/statistics.hpp"
#include "advisor/workload.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

namespace keyshift::advisor {

struct DefinitionSketch {
    enum class Kind { rekey, totals, join, united };
    Kind kind = Kind::rekey;
    std::string tables; ///< FROM ... WHERE, as it will stand in the SQL; of `united` the whole SQL
    std::vector<QualifiedName> bases;
    std::set<QualifiedName>
        whole; ///< tables of which every node has to keep all rows, since nothing ties them to the key
    std::set<std::string> nullable; ///< columns of the key that may be NULL
    UseColumn key;
    std::set<UseColumn> columns;                ///< shown; of `totals` those grouped by
    std::map<std::string, std::string> totals;  ///< name -> call
    std::set<UseColumn> arguments;              ///< of the calls
    std::map<std::size_t, std::string> aliases; ///< of the uses; "" where names need none

    /// Statements with the same text here can share the definition.
    std::string identity() const;
    std::string sql(const DatabaseStatistics& database) const;
    std::string key_name() const { return key.column; }
    std::string suggested_name() const;
};

/// What keeps a statement from having a projection.
struct NoDefinition {
    std::string why;
};

/// Of a statement that asks every shard.
std::variant<DefinitionSketch, NoDefinition> sketch(const DatabaseStatistics& database, const Asked& asked,
                                                    const Placements& placements);

} // namespace keyshift::advisor
