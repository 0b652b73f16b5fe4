#pragma once
/// What a consumer has who reads a topic from its beginning: the last event of a key wins.

#include "tests/daemon/installation.hpp"

#include <map>
#include <string>

namespace keyshift::test {

struct Fold {
    std::map<std::string, std::string> rows; ///< key JSON -> `after` JSON, of rows that live
    int records = 0;
    int backward = 0; ///< records below an earlier position of their key that are no exact repeat: must be 0
};

Fold fold_topic(const Installation& installation, const std::string& table);
/// The same map from the table itself: what each of `nodes` nodes owns (a donor keeps its frozen rows for a while).
/// Throws when a row is owned by two nodes.
std::map<std::string, std::string> table_rows(const Installation& installation, const std::string& table,
                                              const std::string& key, int nodes);

} // namespace keyshift::test
