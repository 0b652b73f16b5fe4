#pragma once
/// Writes row changes to the nodes that own them: PostgreSQL evaluates the definition over binary arrays in one guarded
/// upsert, with the progress of what was written before. Versions decide (INV-PRJ-1): replays, duplicates and reordering are harmless.

#include "projections/definition.hpp"
#include "projections/row_change.hpp"
#include "projections/target.hpp"
#include "projections/write_order.hpp"

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace keyshift::projections {

struct Written {
    std::int64_t applied = 0;
    std::int64_t stale = 0; ///< a newer version was there
};

class BatchWriter {
public:
    /// `owner_epoch`: of this runner's progress rows (take_over); where they have another one, nothing is written. 0: of a
    /// command, which rests on no progress.
    BatchWriter(const Definition& definition, Target& target, std::int64_t owner_epoch);

    /// All of the batch, on whatever nodes; returns when everything is committed. Rows of a bucket that is changing its node
    /// wait until the new owner is open. Throws SqlError when PostgreSQL refuses a row.
    /// `changes` get what the events lacked. `progress`: how far everything is written then; the nodes hear of it with the next
    /// call, or by tell().
    Written write(std::vector<RowChange*> changes, const Offsets& progress, std::stop_token stop);
    /// Every node hears how far all have come.
    void tell(std::stop_token stop);

private:
    class Nodes;
    class Transaction;

    bool is_base_distributed();
    std::vector<std::string> places_of_base(const RowChange& change);
    std::optional<pg::Result> read_base(const RowChange& change, const std::string& node, std::stop_token stop);
    void fill_absent(RowChange& change, std::stop_token stop);
    ChangeList lock_open_buckets(pg::Connection& connection, const ChangeList& changes, ChangeList& refused) const;
    void write_rows(pg::Connection& connection, const ChangeList& rows, Written& written) const;
    void write_progress(pg::Connection& connection, const Offsets& progress) const;
    void check_owner(pg::Connection& connection) const;

    const Definition& definition_;
    Target& target_;
    std::int64_t owner_epoch_;
    Offsets untold_;                       ///< what every node has its part of
    std::optional<bool> base_distributed_; ///< as of this batch
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
/// UPDATE of the writer's own progress rows: name, generation, owner epoch, then arrays of topic, partition and next offset.
const char* progress_statement();
/// A row where the writer is the owner still: name, generation, owner epoch.
const char* owner_statement();

} // namespace keyshift::projections
