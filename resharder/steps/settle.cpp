#include "catalog/node_sql.hpp"
#include "core/failpoint.hpp"
#include "core/log.hpp"
#include "core/pg/short_lock.hpp"
#include "resharder/move_owner.hpp"
#include "resharder/steps/steps.hpp"

#include <fmt/format.h>

namespace keyshift::resharder {

namespace {

constexpr int kDeleteRows = 10'000;

bool referenced(pg::Connection& node, const MoveTable& table)
{
    return node
        .query(
            "SELECT EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND confrelid IN ($1::regclass, $2::regclass))",
            {table.root.quoted(), table.leaf.quoted()})
        .boolean(0, 0);
}

/// A snapshot from before now may still read the frozen rows; TRUNCATE would take them away. backend_type is not shown to
/// every role, so walsenders and the server's own workers are told apart otherwise.
bool old_snapshot_left(MoveContext& context)
{
    // The horizon is fixed at the first look: every snapshot taken later sees the fence.
    if (context.settle_horizon.empty()) {
        context.settle_horizon = context.donor.query("SELECT pg_snapshot_xmax(pg_current_snapshot())::xid").text(0, 0);
    }
    return context.donor
        .query(
            "SELECT EXISTS (SELECT FROM pg_stat_activity a WHERE datname = current_database() AND backend_xmin IS NOT NULL "
            "AND usesysid IS NOT NULL AND NOT EXISTS (SELECT FROM pg_stat_replication r WHERE r.pid = a.pid) "
            "AND pid <> pg_backend_pid() AND age(backend_xmin) > age($1::xid))",
            {context.settle_horizon})
        .boolean(0, 0);
}

void delete_rows(MoveContext& context, const MoveTable& table, std::stop_token stop)
{
    const std::string leaf = table.leaf.quoted();
    while (true) {
        std::int64_t deleted = 0;
        pg::with_short_locks(
            context.donor,
            [&] {
                check_owner(context.donor, context.move());
                act_as_mover(context.donor, context.move());
                silence_user_triggers(context.donor, table);
                deleted = context.donor
                              .query(fmt::format(
                                  "DELETE FROM ONLY {0} WHERE ctid = ANY (ARRAY(SELECT ctid FROM ONLY {0} LIMIT {1}))",
                                  leaf, kDeleteRows))
                              .affected();
            },
            {}, stop);
        failpoint("move.settle.deleted");
        if (deleted == 0) {
            break;
        }
    }
    context.donor.query("VACUUM " + leaf);
}

void clear_leaf(MoveContext& context, const MoveTable& table, std::stop_token stop)
{
    if (referenced(context.donor, table)) {
        delete_rows(context, table, stop);
        return;
    }
    pg::with_short_locks(
        context.donor,
        [&] {
            check_owner(context.donor, context.move());
            act_as_mover(context.donor, context.move());
            context.donor.query("TRUNCATE ONLY " + table.leaf.quoted());
        },
        {}, stop);
}

/// From now on nobody passes, not even this move.
void close_donor(MoveContext& context, std::stop_token stop)
{
    const BucketMove& move = context.move();
    pg::with_short_locks(
        context.donor,
        [&] {
            check_owner(context.donor, move);
            for (const MoveTable& table : context.tables) {
                catalog::create_reject_trigger(context.donor, table.leaf, move.group, move.bucket, "");
                context.donor.query("ALTER TABLE " + table.leaf.quoted() + " RESET (autovacuum_enabled)");
                restore_user_triggers(context.donor, table);
            }
            context.donor.query("UPDATE keyshift.local_bucket SET state = 'closed', move = NULL, token = NULL "
                                "WHERE group_name = $1 AND bucket = $2 AND move = $3 AND state = 'fenced'",
                                {move.group, std::to_string(number(move.bucket)), std::to_string(move.id)});
        },
        {}, stop);
}

/// Also a disabled one.
bool any_reject_trigger(pg::Connection& node, const QualifiedName& leaf)
{
    return node
        .query(
            "SELECT EXISTS (SELECT FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace "
            "WHERE t.tgrelid = $1::regclass AND NOT t.tgisinternal AND n.nspname = 'keyshift')",
            {leaf.quoted()})
        .boolean(0, 0);
}

/// Disabled since the bucket was opened.
void drop_recipient_triggers(MoveContext& context, std::stop_token stop)
{
    const auto rows = context.recipient.query(
        "SELECT FROM keyshift.local_bucket WHERE group_name = $1 AND bucket = $2 AND state = 'open' AND move = $3",
        {context.move().group, std::to_string(number(context.move().bucket)), std::to_string(context.move().id)});
    if (rows.rows() == 0) {
        return; // moved on since
    }
    for (const MoveTable& table : context.tables) {
        if (any_reject_trigger(context.recipient, table.leaf)) {
            pg::with_short_locks(
                context.recipient,
                [&] {
                    check_owner(context.recipient, context.move());
                    catalog::drop_reject_trigger(context.recipient, table.leaf);
                },
                {}, stop);
        }
    }
}

/// A promoted standby may lack the open: then the donor's frozen rows are the last ones.
bool recipient_lacks_it(MoveContext& context)
{
    const BucketMove& move = context.move();
    return context.recipient
               .query("SELECT FROM keyshift.local_bucket WHERE group_name = $1 AND bucket = $2 AND epoch >= $3::bigint",
                      {move.group, std::to_string(number(move.bucket)), std::to_string(number(move.epoch))})
               .rows() == 0;
}

bool donor_is_cleared(MoveContext& context)
{
    return !fence_landed(context);
}

} // namespace

bool settle(MoveContext& context, std::stop_token stop)
{
    drop_recipient_triggers(context, stop);
    const auto due =
        context.catalog.query("SELECT coalesce(settle_until <= now(), true) FROM keyshift.move WHERE id = $1",
                              {std::to_string(context.move().id)});
    if (!due.boolean(0, 0)) {
        return false;
    }
    if (recipient_lacks_it(context)) {
        context.journal.waiting_for("node " + context.move().recipient +
                                    " to have the bucket again, which it has lost: `keyshift doctor`");
        return false;
    }
    if (!donor_is_cleared(context)) {
        if (old_snapshot_left(context)) {
            context.journal.waiting_for("a transaction on node " + context.move().donor +
                                        " older than the switch to end");
            return false;
        }
        stop_following(context);
        for (auto table = context.tables.rbegin(); table != context.tables.rend(); ++table) {
            clear_leaf(context, *table, stop);
        }
        close_donor(context, stop);
    }
    forget_progress(context);
    return true;
}

void forget_progress(MoveContext& context)
{
    const std::string id = std::to_string(context.move().id);
    for (pg::Connection* node : {&context.donor, &context.recipient}) {
        node->query("DELETE FROM keyshift.move_progress WHERE move = $1 AND owner_epoch = $2",
                    {id, std::to_string(context.move().owner_epoch)});
    }
}

} // namespace keyshift::resharder
