#include "demo/router.hpp"

#include "core/bucket_map.hpp"

#include <array>
#include <stdexcept>

namespace keyshift::demo {

namespace {

// The demo distributes with the default number of buckets.
constexpr unsigned kBuckets = 64;

} // namespace

unsigned Router::bucket(const std::string& key)
{
    const std::array types{KeyType::uuid};
    const std::array<KeyValue, 1> values{key};
    const auto hash = partition_hash(types, values);
    if (!hash) {
        throw std::logic_error("a key of the demo is no uuid: " + key);
    }
    return number(bucket_of_hash(*hash, kBuckets));
}

const std::string& Router::node_of(const std::string& table, const std::string& key)
{
    const auto place = std::pair(table, bucket(key));
    const auto known = nodes_.find(place);
    if (known != nodes_.end()) {
        return known->second;
    }
    const pg::Result answer = connection("n1").run_prepared(
        "node_of_" + table, "SELECT keyshift.node_of('public." + table + "', $1)", std::array{pg::Parameter(key)});
    return nodes_[place] = answer.text(0, 0);
}

void Router::moved(const std::string& table, const std::string& key, const std::string& node)
{
    nodes_[std::pair(table, bucket(key))] = node;
}

pg::Connection& Router::connection(const std::string& node)
{
    const auto open = connections_.find(node);
    if (open != connections_.end()) {
        return open->second;
    }
    return connections_.emplace(node, pg::Connection(settings_.connection(node, "demo writer"))).first->second;
}

} // namespace keyshift::demo
