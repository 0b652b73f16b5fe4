#pragma once
/// keyshift.split: which bucket is being split into what. Written before anything is made, so that whoever comes after a killed
/// command can finish it or begin anew.

#include "catalog/catalog.hpp"

#include <optional>
#include <string>
#include <vector>

namespace keyshift::catalog {

struct Split {
    std::int64_t id = 0;
    std::string group;
    BucketId bucket{};
    std::vector<BucketId> made; ///< rising; with `bucket` they have all of its keys
    std::string node;           ///< that owns it
    Epoch epoch{};              ///< of all of them
    std::string token;          ///< random; proves the open messages

    /// "splitting bucket 17 of users on n1"
    std::string subject() const;
    /// The bucket and the new ones.
    std::vector<BucketId> all() const;
    bool operator==(const Split&) const = default;
};

/// RefusedError where a command that died left a split of the group, or of any group: nodes may not be alike until it is finished.
void refuse_unfinished_split(pg::Connection& catalog, const std::string& what, const std::string& group);
void refuse_unfinished_split(pg::Connection& catalog, const std::string& what);
std::optional<Split> unfinished_split(pg::Connection& catalog, const std::string& group);

/// Epoch, token and id are made here. The caller holds the CommandLock.
Split begin_split(pg::Connection& catalog, Split split);
/// The node has it: bucket rows, history, pins. Idempotent; inside the caller's transaction.
void record_split(pg::Connection& catalog, const Split& split, Lsn opened_at);
/// No node has anything of it: as if it had never begun; or, all have it.
void end_split(pg::Connection& catalog, const Split& split, bool done);

} // namespace keyshift::catalog
