#pragma once
/// The catalog's captured tables and groups as one node's stream needs them. Plain data, replaced as a whole.

#include "catalog/catalog.hpp"
#include "cdc/source/ownership.hpp"
#include "cdc/source/publication_check.hpp"
#include "core/error.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace keyshift::cdc {

struct CapturedTables {
    /// By root; only those of this node, and those distributed.
    std::map<QualifiedName, catalog::CapturedTable> by_name;
    std::set<std::string> groups;

    /// Of the table with this number, which is one of these.
    const CaptureOptions& options_of(std::int64_t table_id) const { return with_number(table_id).options; }
    const catalog::CapturedTable& with_number(std::int64_t table_id) const;
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
    bool moving = false;                   ///< a job that is to run has a bucket that is not switched yet, on any node
    std::set<QualifiedName> filtered;      ///< tables of which a row filter leaves rows out on purpose
    std::optional<ErrorParts> topic_clash; ///< of a table of this node
    std::uint32_t timeline = 0;            ///< of the node, as the catalog knows it
    Lsn gap_accepted;                      ///< changes before it may be missing: `keyshift cdc recover`
    std::set<QualifiedName> snapshotting;  ///< tables whose existing rows on this node are not all in the topic
};

/// What the node's publication must have.
std::vector<PublishedTable> published_tables(const CatalogView& view);

CatalogView read_catalog_view(pg::Connection& catalog, const std::string& node);

} // namespace keyshift::cdc
