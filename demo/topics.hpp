#pragma once
/// What a consumer has after reading every data topic from the beginning: last event per key wins.

#include "demo/acknowledged.hpp"
#include "demo/settings.hpp"

namespace keyshift::demo {

struct Folded {
    DatabaseState state; ///< live rows only
    long long records = 0;
    long long repeats = 0;  ///< exact repeats of an earlier record (after the daemon was killed)
    long long backward = 0; ///< position below an earlier one of its key, and no repeat: must be 0
};

Folded fold_topics(const Settings& settings);

/// id, shard key and value of a row of `table`, given its columns by name.
struct ComparedRow {
    std::string id;
    RowState state;
};
template <typename Column>
ComparedRow compared_row(const std::string& table, Column column)
{
    if (table == "users") {
        return {column("user_id"), {true, column("user_id"), column("name")}};
    }
    if (table == "posts") {
        return {column("post_id"), {true, column("user_id"), column("content")}};
    }
    return {column("interaction_id"), {true, column("post_id"), column("user_id") + " " + column("content")}};
}

} // namespace keyshift::demo
