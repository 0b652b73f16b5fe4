#pragma once
/// The row of a copy on its node (keyshift.local_reference): where it stands, and whose it is.

#include "core/lsn.hpp"
#include "core/pg/connection.hpp"
#include "core/snapshot_filter.hpp"
#include "projections/reference/reference_event.hpp"

#include <map>
#include <optional>
#include <string>

namespace keyshift::projections {

/// topic -> partition -> next offset.
using TopicOffsets = std::map<std::string, std::map<std::int32_t, std::int64_t>>;

struct CopyState {
    bool live = false;
    std::string shape;
    std::optional<SnapshotFilter> held; ///< what the fill's snapshot holds already; nullopt: not filled
    Lsn filled;
    Lsn complete;
    Lsn applied;
    std::uint32_t timeline = 0; ///< of the home's stream; 0: not seen since it was filled
    TopicOffsets offsets;

    /// An event that the copy has already.
    bool has(const ReferenceEvent& event) const;
};

/// Makes the session the one that may write the node's copies: owner epoch and token. Throws Error(refused) naming the
/// table without a copy.
class CopyOwner {
public:
    CopyOwner(pg::Connection& node, std::vector<QualifiedName> tables);

    CopyState load(const QualifiedName& table) const;
    /// Each inside the caller's transaction, and first in it: throws TransientError when another keeper has taken over.
    void progress(const QualifiedName& table, const CopyState& state) const;
    void filled(const QualifiedName& table, const CopyState& state, const std::string& snapshot) const;
    /// From now on it waits to be filled anew.
    void fill_again(const QualifiedName& table) const;

private:
    void check(const pg::Result& update, const QualifiedName& table) const;

    pg::Connection& node_;
    std::string epoch_;
};

} // namespace keyshift::projections
