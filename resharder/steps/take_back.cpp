#include "catalog/node_sql.hpp"
#include "core/failpoint.hpp"
#include "core/pg/short_lock.hpp"
#include "resharder/move_owner.hpp"
#include "resharder/steps/steps.hpp"

namespace keyshift::resharder {

namespace {

void restore_placeholder(MoveContext& context, const MoveTable& table)
{
    const BucketMove& move = context.move();
    pg::Connection& node = context.recipient;
    check_owner(node, move);
    node.query("ALTER TABLE " + table.root.quoted() + " DETACH PARTITION " + table.leaf.quoted());
    node.query("DROP TABLE " + table.leaf.quoted());
    catalog::create_placeholder(node, table.root, context.group, move.bucket);
    if (!catalog::has_reject_trigger(node, table.leaf)) {
        catalog::create_reject_trigger(node, table.leaf, move.group, move.bucket, "");
    }
}

void reset_donor(MoveContext& context, std::stop_token stop)
{
    for (const MoveTable& table : context.tables) {
        pg::with_short_locks(
            context.donor,
            [&] { context.donor.query("ALTER TABLE " + table.leaf.quoted() + " RESET (autovacuum_enabled)"); }, {},
            stop);
    }
}

} // namespace

bool swapped(MoveContext& context)
{
    const BucketMove& move = context.move();
    return context.recipient
               .query(
                   "SELECT FROM keyshift.local_bucket WHERE group_name = $1 AND bucket = $2 AND state <> 'open' AND move = $3",
                   {move.group, std::to_string(number(move.bucket)), std::to_string(move.id)})
               .rows() == 1;
}

void take_back(MoveContext& context, std::stop_token stop)
{
    context.subscription.reset();
    const BucketMove& move = context.move();
    if (swapped(context)) {
        // Children first: a parent with rows that are referenced cannot be detached.
        for (auto table = context.tables.rbegin(); table != context.tables.rend(); ++table) {
            if (!table_exists(context.recipient, table->staging)) {
                pg::with_short_locks(
                    context.recipient, [&] { restore_placeholder(context, *table); }, {}, stop);
                failpoint("move.take_back.restored");
            }
        }
    }
    pg::Transaction transaction(context.recipient);
    check_owner(context.recipient, move);
    for (auto table = context.tables.rbegin(); table != context.tables.rend(); ++table) {
        context.recipient.query("DROP TABLE IF EXISTS " + table->staging.quoted());
    }
    context.recipient.query("UPDATE keyshift.local_bucket SET move = NULL, token = NULL "
                            "WHERE group_name = $1 AND bucket = $2 AND state <> 'open' AND move = $3",
                            {move.group, std::to_string(number(move.bucket)), std::to_string(move.id)});
    transaction.commit();
    reset_donor(context, stop);
}

} // namespace keyshift::resharder
