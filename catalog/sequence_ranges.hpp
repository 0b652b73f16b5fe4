#pragma once
/// Every node takes the numbers of a distributed table's sequences (serial, identity, nextval in a default) from a range of
/// its own, so that no two hand out the same, also when a bucket has moved. A range is 2^43 numbers of a bigint sequence (all
/// of 1,024 nodes stay below 2^53, which JSON readers keep exact) and 2^27 of an integer one (16 nodes). The node that had
/// the table goes on in the range it is in; the others follow behind it. docs/interface.md.

#include "catalog/catalog.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace keyshift::catalog {

struct SequenceRange {
    QualifiedName sequence;
    std::int64_t width = 0;
    std::int64_t first_block = 0; ///< range of the home is [first_block * width, (first_block + 1) * width)
    std::int64_t home = 0;        ///< number of the node whose range that is
};

/// Ranges of all sequences that the table's columns use on `node`, entered in the catalog where they are not yet. What cannot
/// be divided (smallint, descending, CYCLE) is named in `warnings`.
std::vector<SequenceRange> plan_ranges(pg::Connection& catalog, pg::Connection& node, const Node& home,
                                       const QualifiedName& table, std::vector<std::string>& warnings);
/// Those in the catalog.
std::vector<SequenceRange> read_ranges(pg::Connection& catalog);

/// Sets the bounds of those sequences that are on the node, inside the caller's transaction; one that has them already stays
/// where it is. Returns warnings.
std::vector<std::string> set_ranges(pg::Connection& node, std::int64_t number,
                                    const std::vector<SequenceRange>& ranges);

/// keyshift.node.number, never given twice.
std::int64_t node_number(pg::Connection& catalog, const std::string& node);

} // namespace keyshift::catalog
