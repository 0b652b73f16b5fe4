#pragma once
/// A client's copy of the map: which node has the bucket of a key. Filled by keyshift.node_of, corrected by KS001.
/// One per writer thread.

#include "core/pg/connection.hpp"
#include "demo/settings.hpp"

#include <map>
#include <string>
#include <utility>

namespace keyshift::demo {

class Router {
public:
    explicit Router(const Settings& settings) : settings_(settings) {}

    /// The node of a key of a table ("users", "posts", "interactions"); every key is one uuid.
    const std::string& node_of(const std::string& table, const std::string& key);
    /// What a KS001 said.
    void moved(const std::string& table, const std::string& key, const std::string& node);
    /// A connection to the node, opened when first needed.
    pg::Connection& connection(const std::string& node);
    void forget_connection(const std::string& node) { connections_.erase(node); }

private:
    static unsigned bucket(const std::string& key);

    const Settings& settings_;
    std::map<std::pair<std::string, unsigned>, std::string> nodes_;
    std::map<std::string, pg::Connection> connections_;
};

} // namespace keyshift::demo
