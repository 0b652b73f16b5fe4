#pragma once
/// In which order the changes of a batch come to the nodes, and when progress is told (INV-PRJ-1): one version a register, rows
/// at their new key before they go from the old one, and no node hears of a batch before every node has its part of it
/// (docs/adr/0025). Written once, over servers (BatchWriter) and over a model of them (tests/projections). Pure.

#include "projections/definition.hpp"
#include "projections/row_change.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace keyshift::projections {

/// topic partition -> next offset; empty for the backfill, which keeps its progress in the catalog.
using Offsets = std::map<std::pair<std::string, std::int32_t>, std::int64_t>;
using ChangeList = std::vector<const RowChange*>;

/// One transaction on a node. Without commit() nothing of it has happened.
class NodeTransaction {
public:
    NodeTransaction() = default;
    NodeTransaction(const NodeTransaction&) = delete;
    NodeTransaction& operator=(const NodeTransaction&) = delete;
    virtual ~NodeTransaction() = default;

    /// The changes whose bucket is open here, and stays so until the end of the transaction; the others go to `refused`.
    virtual ChangeList lock_open(const ChangeList& changes, ChangeList& refused) = 0;
    virtual void upsert(const ChangeList& changes) = 0;
    /// Progress of this writer's own; throws TransientError where another one has taken over.
    virtual void tell(const Offsets& progress) = 0;
    /// Throws as tell() does.
    virtual void check_owner() = 0;
    virtual void commit() = 0;
};

class WrittenNodes {
public:
    WrittenNodes() = default;
    WrittenNodes(const WrittenNodes&) = delete;
    WrittenNodes& operator=(const WrittenNodes&) = delete;
    virtual ~WrittenNodes() = default;

    /// Every node of the cluster; each holds progress.
    virtual std::vector<std::string> nodes() const = 0;
    /// Those that have the row, or shall.
    virtual std::vector<std::string> places(const RowChange& change) const = 0;
    virtual std::unique_ptr<NodeTransaction> begin(const std::string& node) = 0;
    /// A bucket is changing its node: until the placement may be another. Throws TransientError when the writer shall stop.
    virtual void await_placement() = 0;
};

/// One version of each register, the newest, in the order of the register: PostgreSQL refuses to touch a row twice in one
/// statement, and two writers that lock in the same order never wait for each other in a circle.
std::vector<RowChange*> newest_of_each(const Definition& definition, std::vector<RowChange*> changes);

/// `changes` as of newest_of_each; when it returns all of them are committed. `told`: how far everything has been written before,
/// which each node hears of beside its part.
void write_in_order(WrittenNodes& nodes, const std::vector<RowChange*>& changes, const Offsets& told);

} // namespace keyshift::projections
