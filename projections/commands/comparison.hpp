#pragma once
/// A projection beside its definition over all nodes: sums of slices first, row by row where they differ.

#include "catalog/node_access.hpp"
#include "core/ids.hpp"
#include "projections/projection_record.hpp"
#include "projections/row_change.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace keyshift::projections {

/// A row's primary key as a JSON array of texts, as PostgreSQL writes it.
using RowKey = std::string;
/// Rows that differ -> hash by the definition ("": none there) and in the projection.
using Differences = std::map<RowKey, std::pair<std::string, std::string>>;

/// A row of the projection as it is stored on the node that owns it.
struct Register {
    std::vector<std::string> key; ///< of the projection
    SourcePosition version;
    bool live = false;
    std::string hash; ///< of what a reader sees
};
using Registers = std::multimap<RowKey, Register>;

class Comparison {
public:
    /// `copy`: the node whose rows are compared, of a definition that every node has whole; else empty.
    Comparison(pg::Connection& catalog, const ProjectionRecord& record, const std::string& copy);

    /// Without the rows that keyshift.rejection has, which may not even be evaluated. Throws SqlError for such a row that it has
    /// not yet.
    Differences differences();
    /// How many rows the last call of differences() left out.
    std::int64_t rejected() const { return static_cast<std::int64_t>(rejected_.size()); }
    /// In the projection, at the last call of differences().
    std::int64_t rows() const { return rows_; }
    /// All that the projection holds of these rows, tombstones too.
    Registers registers(const std::vector<RowKey>& rows);
    /// Waits until the projection shows, on every node, what the base tables hold now. False: nobody moves it on (no
    /// daemon, paused, a node or the broker away), or stop.
    bool wait_until_shown(std::stop_token stop);

private:
    struct SliceSum {
        std::int64_t rows = 0;
        std::string hash = "0"; ///< a sum, as PostgreSQL prints the numeric
        bool operator==(const SliceSum&) const = default;
    };
    using Slices = std::map<int, SliceSum>;
    using RowHashes = std::map<RowKey, std::string>;

    std::string row_query(bool by_definition) const;
    bool holds_rows(const catalog::Node& node, bool by_definition) const;
    std::string own_rows() const;
    std::string without_rejected(const std::vector<std::string>& primary_key) const;
    void read_rejected();
    Slices sums(bool by_definition);
    RowHashes hashes(bool by_definition, const std::set<int>& slices);
    Differences compare_rows(const std::set<int>& slices);
    bool is_shown(const std::map<std::string, std::string>& wanted);

    pg::Connection& catalog_;
    const Definition& definition_;
    std::string copy_;
    std::int64_t id_;
    catalog::CapturedTable table_;
    std::vector<catalog::OpenNode> nodes_;
    std::int64_t rows_ = 0;
    std::vector<RowKey> rejected_;
};

/// What is compared of a projection, one after the other, as `copy` above.
std::vector<std::string> copies_of(pg::Connection& catalog, const Definition& definition);
/// The captured table that a projection is made from. Throws Error(refused) when it is captured no more.
catalog::CapturedTable base_table(pg::Connection& catalog, const Definition& definition, const std::string& doing);
/// hashtextextended over the columns that a reader sees, of the row `from`.
std::string row_hash(const Definition& definition, const std::string& from);
/// A condition on rows of `root`: their leaf's bucket is open on this node. A frozen copy on a donor does not count.
std::string open_only(const std::string& group, const QualifiedName& root);
/// The row's primary key as RowKey; `columns` are already quoted.
std::string row_key_expression(const std::vector<std::string>& columns);

} // namespace keyshift::projections
