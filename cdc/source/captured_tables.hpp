#pragma once
/// The catalog's captured tables and groups as one node's stream needs them. Plain data, replaced as a whole.

#include "catalog/catalog.hpp"
#include "cdc/source/ownership.hpp"
#include "core/error.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace keyshift::cdc {

struct CapturedTables {
    /// By root; only those of this node, and those distributed.
    std::map<QualifiedName, catalog::CapturedTable> by_name;
    std::map<std::string, std::uint32_t> buckets_of_group;

    /// Of the table with this number, which is one of these.
    const CaptureOptions& options_of(std::int64_t table_id) const;
    bool operator==(const CapturedTables& other) const;
};

/// A move of which this node is the donor and that is not past its fence: the slot waits for it.
struct UnfinishedMove {
    std::int64_t move = 0;
    Lsn position;
};

/// All that one node's stream reads from the catalog.
struct CatalogView {
    CapturedTables tables;
    std::vector<OwnedInterval> history;
    std::vector<UnfinishedMove> moves;
    std::optional<ErrorParts> topic_clash; ///< of a table of this node
    bool snapshot_wanted = false;          ///< rows of keyshift.snapshot of this node are not done
};

CatalogView read_catalog_view(pg::Connection& catalog, const std::string& node);

} // namespace keyshift::cdc
