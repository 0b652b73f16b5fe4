#pragma once
/// A piece of a table's existing rows that is still to be read: by place (in the order of the heap) or by key.
/// By place is as fast as the server gives rows, but a row that is updated meanwhile may change its place, to one that has
/// been read: its update event is then the only record of it. That event must carry the whole row, so by place is for
/// tables of which nothing is stored out of line (TOAST), and for those without a key.

#include "core/names.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace keyshift::cdc {

/// The text of a key's columns, in the key's order.
using RowKey = std::vector<std::string>;

/// A part of the heap.
struct SnapshotPlaces {
    std::string after = "(0,0)";      ///< rows behind this ctid
    std::optional<std::uint32_t> end; ///< and before this block; nullopt: to the end of the table
    std::uint32_t filenode = 0;       ///< a rewrite of the table gives another: places mean nothing then
};

struct SnapshotRange {
    /// The partition that holds the rows; nullopt: the table itself.
    std::optional<QualifiedName> partition;
    std::optional<SnapshotPlaces> places; ///< nullopt: by key
    std::optional<RowKey> after;          ///< greater keys only
    std::optional<RowKey> upto;           ///< and not greater than this
    std::vector<RowKey> keys;             ///< not empty: the rows of these keys, whatever the bounds say
};

/// As keyshift.snapshot.ranges has them.
std::string write_ranges(const std::vector<SnapshotRange>& ranges);
std::vector<SnapshotRange> read_ranges(std::string_view json);

} // namespace keyshift::cdc
