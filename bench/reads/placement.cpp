#include "bench/reads/placement.hpp"

#include "core/bucket_map.hpp"

#include <array>
#include <stdexcept>

namespace keyshift::bench {

Placement::Placement(pg::Connection& node, const std::string& group)
{
    const pg::Result rows =
        node.query("SELECT node FROM keyshift.placement WHERE group_name = $1 ORDER BY bucket", {group});
    for (int row = 0; row < rows.rows(); ++row) {
        node_of_bucket_.push_back(std::stoul(std::string(rows.text(row, 0).substr(1))) - 1);
    }
    if (node_of_bucket_.empty()) {
        throw std::logic_error("no group " + group);
    }
}

std::size_t Placement::node_of(const std::string& key) const
{
    const auto hash = partition_hash(std::array{KeyType::uuid}, std::array<KeyValue, 1>{key});
    if (!hash) {
        throw std::logic_error("no uuid: " + key);
    }
    return node_of_bucket_.at(number(bucket_of_hash(*hash, static_cast<std::uint32_t>(node_of_bucket_.size()))));
}

std::map<std::size_t, std::vector<std::string>> Placement::divide(const std::vector<std::string>& keys) const
{
    std::map<std::size_t, std::vector<std::string>> parts;
    for (const std::string& key : keys) {
        parts[node_of(key)].push_back(key);
    }
    return parts;
}

} // namespace keyshift::bench
