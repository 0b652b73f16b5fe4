#pragma once
/// Which rows of a bucket changed since a moment: primary keys, collected from the changes that are applied.

#include "cdc/source/subscription.hpp"
#include "resharder/bucket_hash.hpp"
#include "resharder/bucket_move.hpp"

#include <vector>

namespace keyshift::resharder {

class TouchedKeys {
public:
    explicit TouchedKeys(const std::vector<MoveTable>& tables) : tables_(tables), keys_(tables.size()) {}

    void add(const cdc::OwnedTransaction& transaction);
    const KeySet& of(std::size_t table) const { return keys_[table]; }
    std::size_t count() const { return count_; }
    /// A change named rows that are not known by key (TRUNCATE): the set says nothing.
    bool unknown() const { return unknown_; }

private:
    void add(const cdc::OwnedChange& change);
    void add(std::size_t table, const cdc::Relation& relation, const std::vector<cdc::OwnedDatum>& row, bool whole);

    const std::vector<MoveTable>& tables_;
    std::vector<KeySet> keys_;
    std::size_t count_ = 0;
    bool unknown_ = false;
};

} // namespace keyshift::resharder
