#pragma once
/// Where a projection's rows go: the nodes, and which of them owns which bucket. One per writer; one thread.

#include "catalog/catalog.hpp"
#include "core/bucket_map.hpp"
#include "projections/definition.hpp"
#include "projections/row_change.hpp"

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace keyshift::projections {

class Target {
public:
    /// What a write rests on if the node's power fails: `in_transaction` has its progress behind it in the same WAL, so a lost
    /// tail is written again and no commit waits for the disk; `elsewhere` waits.
    enum class Progress { in_transaction, elsewhere };

    Target(pg::ConnectionSettings catalog, const Definition& definition, Progress progress);

    const Definition& definition() const { return definition_; }
    /// Reads nodes and placement again.
    void reload();
    /// From here on these are all the nodes there are: to fill the ones that a definition with `everywhere` has not yet.
    void restrict_to(std::set<std::string> nodes);
    /// nullopt: a key value does not read as its type. From any thread.
    std::optional<std::uint64_t> key_hash(const RowChange& change) const;
    std::optional<BucketId> find_bucket(const RowChange& change) const;
    BucketId bucket_of(const RowChange& change) const;
    const std::string& owner(BucketId bucket) const { return placement_.at(bucket).node; }
    /// The nodes that have the row, or shall.
    std::vector<std::string> places(const RowChange& change) const;
    /// Every node of the cluster; each holds progress.
    std::vector<std::string> nodes() const;
    pg::Connection& connection(const std::string& node);
    /// Closes all connections: after a failure nobody knows what they are in the middle of.
    void disconnect() { connections_.clear(); }
    pg::Connection& catalog();

private:
    pg::ConnectionSettings catalog_settings_;
    const Definition& definition_;
    Progress progress_;
    std::vector<KeyType> key_types_;
    std::vector<std::size_t> key_columns_; ///< the key's places among the base columns
    std::unique_ptr<pg::Connection> catalog_;
    std::map<std::string, catalog::Node> nodes_;
    std::optional<std::set<std::string>> only_;
    BucketLayout buckets_;
    std::map<BucketId, catalog::Placement> placement_;
    std::map<std::string, pg::Connection> connections_;
};

} // namespace keyshift::projections
