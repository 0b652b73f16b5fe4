#pragma once
/// What one event means for a projection: up to two versioned registers, or a rejection. Plain data.

#include "core/change_event.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace keyshift::projections {

/// A value per Definition::base_columns.
using BaseRow = std::vector<std::optional<std::string>>;

/// One register: the row (key, source primary key) with its version. Not live: a tombstone, of whose columns only key and
/// primary key count.
struct RowChange {
    BaseRow base;
    SourcePosition version;
    bool live = true;
    /// Indexes of base columns that the event did not carry (unchanged TOAST): read again from the source before writing.
    std::vector<std::size_t> absent;
    std::string origin_node;
    /// PostgreSQL's hash of the projection's key, where it is known already.
    std::optional<std::uint64_t> key_hash = std::nullopt;
    /// With absent columns: which transaction of the origin made it, its lower 32 bits.
    std::optional<std::uint32_t> transaction = std::nullopt;
};

/// An event that the projection cannot use.
struct Rejection {
    std::string reason; ///< bounded set, docs/interface.md
    std::string detail;
    /// row_identity of the base row it speaks of; empty: it does not say which.
    std::string row{};
    /// Tombstones that hold all the same: the row has left its old place, wherever it is now.
    std::vector<RowChange> left{};
};

using Mapped = std::variant<std::vector<RowChange>, Rejection>;

} // namespace keyshift::projections
