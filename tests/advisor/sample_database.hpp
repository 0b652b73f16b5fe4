#pragma once
/// Databases for the tests of the advice, as the statistics would show them.

#include "advisor/advice.hpp"

#include <string>
#include <utility>
#include <vector>

namespace keyshift::advisor::test {

struct SampleColumn {
    std::string name;
    std::string type = "bigint";
    double distinct = 1e6;
    double null_share = 0;
};

inline TableStatistics table(const std::string& name, std::int64_t rows, const std::vector<std::string>& primary_key,
                             const std::vector<SampleColumn>& columns, const std::vector<ForeignKey>& foreign_keys = {})
{
    constexpr std::int64_t kRowBytes = 200;
    TableStatistics made;
    made.name = {"public", name};
    made.rows = rows;
    made.bytes = rows * kRowBytes;
    made.inserted = rows;
    made.primary_key = primary_key;
    made.foreign_keys = foreign_keys;
    for (const SampleColumn& column : columns) {
        const bool hashable = column.type != "timestamptz" && column.type != "double precision";
        made.columns.push_back({column.name, column.type, column.null_share == 0, hashable, column.distinct,
                                column.null_share, 1 / column.distinct});
    }
    return made;
}

inline DatabaseStatistics database(const std::vector<TableStatistics>& tables)
{
    DatabaseStatistics made;
    made.memory = std::int64_t{16} << 30U;
    made.seconds = 10 * 86400;
    for (const TableStatistics& one : tables) {
        made.bytes += one.bytes;
        made.tables.emplace(one.name, one);
    }
    return made;
}

inline Workload workload(const DatabaseStatistics& of, const std::vector<std::pair<double, std::string>>& queries)
{
    QueryLog log{"a file", {}, 0, {}};
    for (const auto& [calls, text] : queries) {
        log.queries.push_back({text, calls, 0, 0});
    }
    return read_workload(log, of.tables);
}

/// users, posts (of a user) and interactions (of a user with a post), and a table of countries.
inline DatabaseStatistics social(bool foreign_keys = true)
{
    const QualifiedName users{"public", "users"};
    const QualifiedName posts{"public", "posts"};
    const ForeignKey author{{"user_id"}, users, {"user_id"}};
    return database(
        {table("countries", 200, {"code"}, {{"code", "text", 200}, {"name", "text", 200}}),
         table("users", 1'000'000, {"user_id"}, {{"user_id", "uuid"}, {"name", "text"}, {"country", "text", 180}},
               foreign_keys ? std::vector<ForeignKey>{{{"country"}, {"public", "countries"}, {"code"}}}
                            : std::vector<ForeignKey>{}),
         table("posts", 5'000'000, {"post_id"},
               {{"post_id", "bigint", 5e6},
                {"user_id", "uuid", 9e5},
                {"content", "text", 5e6},
                {"at", "timestamptz", 5e6}},
               foreign_keys ? std::vector<ForeignKey>{author} : std::vector<ForeignKey>{}),
         table("interactions", 50'000'000, {"post_id", "interaction_id"},
               {{"post_id", "bigint", 4e6},
                {"interaction_id", "bigint", 5e7},
                {"user_id", "uuid", 9e5},
                {"interaction_type", "text", 3},
                {"amount", "numeric", 1e5},
                {"score", "double precision", 1e6},
                {"at", "timestamptz", 5e7}},
               foreign_keys ? std::vector<ForeignKey>{{{"post_id"}, posts, {"post_id"}}, author}
                            : std::vector<ForeignKey>{})});
}

} // namespace keyshift::advisor::test
