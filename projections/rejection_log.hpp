#pragma once
/// keyshift.rejection: the events that a projection could not use, until a newer version of their row heals them or
/// somebody drops them. One per runner; one thread.

#include "core/kafka/client.hpp"
#include "core/pg/connection.hpp"
#include "projections/definition.hpp"
#include "projections/row_change.hpp"

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace keyshift::projections {

class RejectionLog {
public:
    RejectionLog(pg::Connection& catalog, const Definition& definition);

    /// A record that is there already, being read again, stays as it is.
    void add(const kafka::Message& message, const Rejection& rejection);
    /// These are in the projection at their versions: what was rejected of the same rows before is healed. Returns how many.
    std::size_t heal(std::span<const std::pair<RowChange, const kafka::Message*>> rows);
    std::int64_t count() const { return count_; }
    /// Takes in what the backfill has rejected.
    void load();

private:
    void recount();

    pg::Connection& catalog_;
    const Definition& definition_;
    std::map<std::string, SourcePosition> newest_; ///< of the rejections of a row
    std::int64_t count_ = 0;
};

/// A row of the base table, read by the backfill: no record speaks of it, so topic is empty.
void add_rejected_row(pg::Connection& catalog, const Definition& definition, const RowChange& row,
                      const std::string& why);
/// After rejections were taken away: writes and returns how many are left.
std::int64_t count_rejections(pg::Connection& catalog, const std::string& projection);
/// Bad value, constraint, limit (too wide for an index), raised by a function of the definition; the rest is not the row's
/// fault.
bool blames_the_row(std::string_view sqlstate);

} // namespace keyshift::projections
