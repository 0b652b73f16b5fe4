#include "projections/target.hpp"

#include "core/bucket_map.hpp"

#include <fmt/core.h>

#include <stdexcept>

namespace keyshift::projections {

Target::Target(pg::ConnectionSettings catalog, const Definition& definition, Progress progress)
    : catalog_settings_(std::move(catalog)), definition_(definition), progress_(progress)
{
    for (std::size_t at = 0; at < definition_.key.size() && !definition_.everywhere; ++at) {
        key_types_.push_back(key_type(definition_.key_types[at]).value());
        key_columns_.push_back(definition_.base_column(definition_.key_base[at]));
    }
    reload();
}

pg::Connection& Target::catalog()
{
    if (!catalog_) {
        catalog_ = std::make_unique<pg::Connection>(catalog_settings_);
    }
    return *catalog_;
}

void Target::reload()
{
    try {
        nodes_.clear();
        for (const catalog::Node& node : catalog::nodes(catalog())) {
            if ((node.state == "active" || node.state == "draining") && (!only_ || only_->contains(node.name))) {
                nodes_.emplace(node.name, node);
            }
        }
        buckets_ = catalog::group(catalog(), definition_.group).buckets;
        placement_ = catalog::placement(catalog(), definition_.group);
    } catch (const Error&) {
        catalog_.reset();
        throw;
    }
}

void Target::restrict_to(std::set<std::string> nodes)
{
    only_ = std::move(nodes);
    reload();
}

std::vector<std::string> Target::places(const RowChange& change) const
{
    return definition_.everywhere ? nodes() : std::vector{owner(bucket_of(change))};
}

std::optional<std::uint64_t> Target::key_hash(const RowChange& change) const
{
    if (definition_.everywhere) {
        return 0; // no node is chosen by it
    }
    std::vector<KeyValue> values;
    for (const std::size_t column : key_columns_) {
        values.push_back(change.base[column]);
    }
    return partition_hash(key_types_, values);
}

std::optional<BucketId> Target::find_bucket(const RowChange& change) const
{
    const auto hash = change.key_hash ? change.key_hash : key_hash(change);
    if (!hash) {
        return std::nullopt;
    }
    return buckets_.of_hash(*hash);
}

BucketId Target::bucket_of(const RowChange& change) const
{
    const auto bucket = find_bucket(change);
    if (!bucket) {
        throw FatalError({"projection " + definition_.name, "a key value does not read as its type",
                          "Report this with the table's definition."});
    }
    return *bucket;
}

std::vector<std::string> Target::nodes() const
{
    std::vector<std::string> names;
    for (const auto& [name, node] : nodes_) {
        names.push_back(name);
    }
    return names;
}

pg::Connection& Target::connection(const std::string& name)
{
    const auto open = connections_.find(name);
    if (open != connections_.end()) {
        return open->second;
    }
    const auto node = nodes_.find(name);
    if (node == nodes_.end()) {
        throw TransientError({"writing projection " + definition_.name, "node " + name + " is not an active node",
                              "It is tried again with the newest placement."});
    }
    pg::Connection fresh(node->second.connection("projection " + definition_.name));
    if (progress_ == Progress::in_transaction) {
        fresh.query("SET synchronous_commit = off");
    }
    // A plan is run thousands of times, each time with few rows: compiling it anew would be most of the work.
    fresh.query("SET jit = off");
    if (definition_.aggregation) {
        // Registers are looked up by their key whatever the statistics of a young table say: a plan is kept for long.
        fresh.query("SET enable_seqscan = off");
        fresh.query("SET enable_hashjoin = off");
        fresh.query("SET enable_mergejoin = off");
    }
    return connections_.emplace(name, std::move(fresh)).first->second;
}

} // namespace keyshift::projections
