#pragma once
/// What one PostgreSQL server tells of a database: its tables, their sizes, keys and columns, and what was written since its
/// statistics began. Reads only, and takes no lock that anybody waits for.

#include "core/names.hpp"
#include "core/pg/connection.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace keyshift::advisor {

struct ColumnStatistics {
    std::string name;
    std::string type; ///< format_type, without modifier
    bool not_null = false;
    bool hashable = false;          ///< of a type whose values fall into the same bucket on every server
    std::optional<double> distinct; ///< nullopt: the table was never analysed
    double null_share = 0;
    double top_share = 0; ///< of the rows, those with the most frequent value
};

struct ForeignKey {
    std::vector<std::string> columns;
    QualifiedName parent;
    std::vector<std::string> parent_columns;
};

struct TableStatistics {
    QualifiedName name;
    bool plain = true;      ///< false: partitioned, or part of an inheritance
    std::string shard_key;  ///< of a table that Keyshift has distributed
    bool reference = false; ///< it is one already
    std::int64_t rows = 0;
    std::int64_t bytes = 0; ///< with indexes and TOAST
    std::int64_t inserted = 0;
    std::int64_t updated = 0;
    std::int64_t deleted = 0;
    std::int64_t scans = 0; ///< of the table and of its indexes
    std::vector<std::string> primary_key;
    std::vector<ForeignKey> foreign_keys;
    std::vector<ColumnStatistics> columns;

    const ColumnStatistics* column(std::string_view name) const;
};

struct DatabaseStatistics {
    std::int64_t bytes = 0;
    std::int64_t memory = 0;           ///< what the server was told to expect for caching
    double seconds = 0;                ///< since the counters began
    bool counted_longer = false;       ///< the counters may be older than `seconds`: rates are at most what they seem
    bool has_catalog = false;          ///< schema keyshift is there
    std::set<std::string> projections; ///< that there are
    std::map<QualifiedName, TableStatistics> tables;
};

DatabaseStatistics read_statistics(pg::Connection& connection);

} // namespace keyshift::advisor
