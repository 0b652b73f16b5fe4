#pragma once
/// Writes row changes to the nodes that own them: PostgreSQL evaluates the definition over binary arrays in one guarded
/// upsert, in one transaction with the progress. Versions decide (INV-PRJ-1): replays, duplicates and reordering are harmless.

#include "projections/definition.hpp"
#include "projections/row_change.hpp"
#include "projections/target.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

namespace keyshift::projections {

/// topic partition -> next offset; empty for the backfill, which keeps its progress in the catalog.
using Offsets = std::map<std::pair<std::string, std::int32_t>, std::int64_t>;

struct Written {
    std::int64_t applied = 0;
    std::int64_t stale = 0; ///< a newer version was there
};

class BatchWriter {
public:
    /// `owner_epoch`: of this runner's progress rows; a writer with an older one is refused.
    BatchWriter(const Definition& definition, Target& target, std::int64_t owner_epoch);

    /// All of the batch, on whatever nodes; returns when everything is committed. Rows of a bucket that is changing its node
    /// wait until the new owner is open. Throws SqlError when PostgreSQL refuses a row.
    /// `changes` get what the events lacked.
    Written write(std::vector<RowChange*> changes, const Offsets& progress, std::stop_token stop);

private:
    using Rows = std::vector<const RowChange*>;

    std::vector<RowChange*> newest_of_each(std::vector<RowChange*> changes) const;
    void fill_absent(RowChange& change);
    /// Rows that this node does not own any more; the rest is committed.
    Rows write_node(const std::string& node, const Rows& rows, const Offsets& progress, Written& written);
    Rows lock_open_buckets(pg::Connection& connection, const Rows& rows, Rows& refused) const;
    struct Array {
        std::string bytes;
        std::uint32_t type; ///< OID
        bool binary;
    };
    std::vector<Array> arrays_of(const Rows& rows) const;
    void write_rows(pg::Connection& connection, const Rows& rows, Written& written) const;
    void write_progress(pg::Connection& connection, const Offsets& progress) const;
    /// Rows that were refused, of all nodes.
    Rows write_round(const Rows& rows, const Offsets& progress, Written& written);
    void write_phase(const Rows& rows, const Offsets& progress, Written& written, std::stop_token stop);

    const Definition& definition_;
    Target& target_;
    std::int64_t owner_epoch_;
    std::string upsert_live_;
    std::string upsert_any_;
    std::string cleaning_; ///< empty: there are no groups
};

/// What the rows of one statement are; `live` has a shorter statement where the definition has no WHERE.
enum class Batch { live, any };
/// The INSERT ... SELECT <definition> FROM unnest(...) ... ON CONFLICT ... of a definition.
/// With groups its one row says how many registers it wrote and how many groups are empty now; else its tag does.
std::string upsert_statement(const Definition& definition, Batch batch);
/// Takes the same parameters, and removes those groups. Empty: there are none.
std::string cleaning_statement(const Definition& definition);
/// A one-dimensional array of text in PostgreSQL's binary format (array_send).
std::string binary_text_array(const std::vector<const std::string*>& values);
/// nullopt: a value is not in the form that PostgreSQL prints.
std::optional<std::string> binary_uuid_array(const std::vector<const std::string*>& values);
std::string binary_bigint_array(const std::vector<std::uint64_t>& values);

} // namespace keyshift::projections
