#pragma once
/// An application's map: on which node the rows of a key are. Taken once, since nothing moves while reads are measured.

#include "core/pg/connection.hpp"

#include <cstddef>
#include <map>
#include <string>
#include <vector>

namespace keyshift::bench {

class Placement {
public:
    /// Of the group of a table or projection whose key is one uuid; nodes are n1, n2, ... as numbers from 0.
    Placement(pg::Connection& node, const std::string& group);

    std::size_t node_of(const std::string& key) const;
    /// Which of the keys each node has.
    std::map<std::size_t, std::vector<std::string>> divide(const std::vector<std::string>& keys) const;

private:
    std::vector<std::size_t> node_of_bucket_;
};

} // namespace keyshift::bench
