#include "resharder/apply_batch.hpp"

#include "resharder/move_owner.hpp"

#include <utility>

namespace keyshift::resharder {

void apply_changes(pg::Connection& node, const BucketMove& move, std::vector<ApplyTarget> targets,
                   std::span<const cdc::OwnedTransaction> transactions, std::size_t rows_a_statement)
{
    const bool unchecked = act_as_mover(node, move);
    ChangeApplier applier(node, std::move(targets), !unchecked, rows_a_statement);
    for (const cdc::OwnedTransaction& one : transactions) {
        for (const cdc::OwnedChange& change : one.changes) {
            applier.add(change);
        }
    }
    applier.flush();
}

} // namespace keyshift::resharder
