#pragma once
/// What the stream knows of one relation of the WAL once it is resolved. Immutable.

#include "cdc/source/change.hpp"
#include "cdc/source/ownership.hpp"
#include "core/schema.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace keyshift::cdc {

struct CapturedRelation {
    std::shared_ptr<const Relation> relation;
    std::shared_ptr<const TableSchema> table;
    std::string group; ///< empty: not distributed
    BucketId bucket{};
    /// nullptr: not distributed, always this node's, of plain_epoch.
    const BucketOwnership* ownership = nullptr;
    Epoch plain_epoch{1};
    /// Columns of an enum type.
    std::vector<std::size_t> enums;
    /// Set: for changes behind it the schema is to be looked up anew.
    std::optional<Lsn> until;
};

/// Epoch of logical messages, which belong to no table.
inline constexpr Epoch kMessageEpoch{1};

} // namespace keyshift::cdc
