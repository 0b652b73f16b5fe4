#pragma once
/// Keys that are expressions: what PostgreSQL makes of rows that events or a backfill brought. Expressions are immutable, so it
/// is all the same which node is asked and when. One per thread; opens a session of its own once there is something to ask.

#include "core/pg/connection.hpp"
#include "projections/definition.hpp"
#include "projections/row_change.hpp"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace keyshift::projections {

/// A row, and what came out beside the values in it.
struct RowToKey {
    BaseRow* row = nullptr;
    bool complete = true; ///< it has all columns; else WHERE is not asked
    std::string fault{};  ///< why there is no key for a row that WHERE takes
    bool nowhere = false; ///< there is none, and WHERE does not take the row either
};

class ComputedKeys {
public:
    ComputedKeys(pg::ConnectionSettings catalog, const Definition& definition);

    bool any() const { return !columns_.empty(); }
    /// Fills the computed columns of each row. A row that the expressions fail for keeps NULL.
    void compute(std::vector<RowToKey>& rows);

private:
    pg::Connection& connection();
    void compute(std::span<RowToKey> rows);
    void ask(std::span<RowToKey> rows);
    void settle_fault(RowToKey& row, const std::string& why);
    bool is_taken(const BaseRow& row);

    pg::ConnectionSettings catalog_;
    const Definition& definition_;
    std::vector<std::size_t> columns_; ///< the computed ones
    std::vector<std::size_t> sources_; ///< what they are made from, each once
    std::string query_;
    std::unique_ptr<pg::Connection> connection_;
};

} // namespace keyshift::projections
