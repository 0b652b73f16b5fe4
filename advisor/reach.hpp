#pragma once
/// How many shards a statement asks when the tables lie as planned. Pure.

#include "advisor/statement.hpp"

#include <map>
#include <string>

namespace keyshift::advisor {

struct Placement {
    enum class Kind { local, reference, distributed };
    Kind kind = Kind::local;
    std::string key;   ///< of a distributed table
    std::string group; ///< those of one group lie together: rows with the same key value on the same node
    std::string why;

    bool operator==(const Placement&) const = default;
};
using Placements = std::map<QualifiedName, Placement>;

enum class Reach {
    one,  ///< one shard, or a whole table that is on one node or on all
    keys, ///< a list of keys: one shard for each
    all,
};
struct Reached {
    Reach reach = Reach::one;
    std::string why; ///< of `all`
};

/// The values that each column must have for its row to matter.
using Bindings = std::map<UseColumn, std::map<std::string, bool>>; ///< value -> one of several
Bindings bindings_of(const Statement& statement);

Reached reach(const Statement& statement, const Bindings& bindings, const Placements& placements);

} // namespace keyshift::advisor
