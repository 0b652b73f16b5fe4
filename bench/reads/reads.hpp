#pragma once
/// The four reads, each as it is put without and with a projection.

#include "bench/reads/client.hpp"
#include "bench/reads/placement.hpp"

#include <functional>
#include <string>
#include <vector>

namespace keyshift::bench {

/// Rows of the answer; for totals, what was counted. All ways of a read must say the same.
using Asking = std::function<long long(Client&, const std::string& key)>;

struct Read {
    std::string name;                ///< "interactions of a user"
    std::string keys;                ///< SQL: all keys there are to ask for
    std::vector<std::string> tables; ///< of public, that the answer comes from
    std::string index;               ///< what to index, "interactions (user_id)"
    std::string written;             ///< the table whose writes are counted: "interactions" or "posts"
    std::string projection;          ///< its name
    std::vector<std::string> create; ///< behind `keyshift projection create NAME`
};

const std::vector<Read>& all_reads();

/// All nodes are asked.
Asking on_all_nodes(const Read& read);
/// Only those that the application's map names, where the question has a shard key; empty: it has none.
Asking on_owners(const Read& read, const Placement& users, const Placement& interactions);
Asking of_projection(const Read& read, const Placement& projection);

} // namespace keyshift::bench
