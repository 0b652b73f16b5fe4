#include "resharder/steps/open_transaction.hpp"

#include "catalog/node_sql.hpp"
#include "core/failpoint.hpp"
#include "resharder/move_owner.hpp"
#include "resharder/steps/control_message.hpp"
#include "resharder/steps/steps.hpp"

#include <fmt/format.h>

namespace keyshift::resharder {

namespace {

/// DISABLE TRIGGER stops no reader; the triggers are dropped when the move settles.
std::string disable_reject_triggers(pg::Connection& node, const MoveTable& table)
{
    const auto rows = node.query("SELECT quote_ident(t.tgname) FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid "
                                 "JOIN pg_namespace n ON n.oid = p.pronamespace "
                                 "WHERE t.tgrelid = $1::regclass AND NOT t.tgisinternal AND n.nspname = 'keyshift'",
                                 {table.leaf.quoted()});
    std::string statements;
    for (int row = 0; row < rows.rows(); ++row) {
        statements += fmt::format("ALTER TABLE ONLY {} DISABLE TRIGGER {};", table.leaf.quoted(), rows.text(row, 0));
    }
    return statements;
}

std::string set_triggers(MoveContext& context, pg::Connection& node)
{
    std::string statements;
    for (const MoveTable& table : context.tables) {
        statements += disable_reject_triggers(node, table) + restored_user_triggers(node, table);
    }
    return statements;
}

/// Ownership and placement as of the COMMIT; the position follows.
void write_ownership(MoveContext& context, pg::Connection& node)
{
    const BucketMove& move = context.move();
    node.query("SET LOCAL synchronous_commit = on");
    node.query(
        "INSERT INTO keyshift.local_bucket (group_name, bucket, state, epoch, open_lsn, fence_lsn, open_xid, move, token) "
        "VALUES ($1, $2, 'open', $3, pg_current_wal_insert_lsn(), NULL, pg_current_xact_id(), $4, $5) "
        "ON CONFLICT (group_name, bucket) DO UPDATE SET state = excluded.state, epoch = excluded.epoch, "
        "open_lsn = excluded.open_lsn, fence_lsn = NULL, open_xid = excluded.open_xid, move = excluded.move, token = excluded.token",
        {move.group, std::to_string(number(move.bucket)), std::to_string(number(move.epoch)), std::to_string(move.id),
         move.token});
    catalog::refresh_ownership(node, move.group);
    catalog::write_local_placement(node, move.group, move.bucket, {move.recipient, move.epoch},
                                   context.recipient_node.address);
}

/// What the mover has written lies before the position, since it writes no more: those rows are no events (ADR 3).
Lsn write_position(MoveContext& context, pg::Connection& node)
{
    const BucketMove& move = context.move();
    const Lsn opened = node.query("UPDATE keyshift.local_bucket SET open_lsn = pg_current_wal_insert_lsn() "
                                  "WHERE group_name = $1 AND bucket = $2 RETURNING open_lsn",
                                  {move.group, std::to_string(number(move.bucket))})
                           .lsn(0, 0);
    emit_control_message(node, move, "open", opened);
    return opened;
}

} // namespace

Lsn write_open(MoveContext& context, pg::Connection& node)
{
    check_owner(node, context.move());
    if (const std::string triggers = set_triggers(context, node); !triggers.empty()) {
        node.script(triggers);
    }
    write_ownership(context, node);
    return write_position(context, node);
}

OpenAhead::OpenAhead(MoveContext& context, std::chrono::milliseconds limit)
    : context_(context), session_(context.connect_recipient("open"))
{
    const std::string cap = quote_literal(std::to_string(limit.count()) + "ms");
    session_.script("SET idle_in_transaction_session_timeout = " + cap + "; SET statement_timeout = " + cap +
                    "; SET lock_timeout = '80ms'");
}

void OpenAhead::begin()
{
    transaction_.emplace(session_);
    write_ownership(context_, session_);
    triggers_ = set_triggers(context_, session_);
}

void OpenAhead::finish(Lsn barrier)
{
    // The row is locked: no older owner applies a batch, and no newer one takes over, before this ends (corner 5).
    check_owner(session_, context_.move());
    check_coverage(context_.move(), barrier, applied_lsn(session_, context_.move()));
    session_.script(triggers_ +
                    "SET LOCAL statement_timeout = 0"); // a COMMIT that waits for a standby is not cut short
    opened_ = write_position(context_, session_);
}

Lsn OpenAhead::commit()
{
    failpoint("move.open.committing");
    transaction_->commit();
    transaction_.reset();
    context_.give_back(std::move(session_));
    return opened_;
}

} // namespace keyshift::resharder
