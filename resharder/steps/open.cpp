#include "catalog/node_sql.hpp"
#include "core/failpoint.hpp"
#include "core/log.hpp"
#include "core/pg/short_lock.hpp"
#include "metrics/families.hpp"
#include "resharder/move_owner.hpp"
#include "resharder/steps/control_message.hpp"
#include "resharder/steps/steps.hpp"

#include <fmt/format.h>

namespace keyshift::resharder {

namespace {

Lsn opened_at(MoveContext& context)
{
    const BucketMove& move = context.move();
    return context.recipient
        .query("SELECT open_lsn FROM keyshift.local_bucket WHERE group_name = $1 AND bucket = $2",
               {move.group, std::to_string(number(move.bucket))})
        .lsn(0, 0);
}

/// Corner 8: what the recipient has applied covers the barrier that the fence waited for.
void check_coverage(MoveContext& context)
{
    if (context.group.projection) {
        return;
    }
    const auto barrier = applied_lsn(context.donor, context.move());
    const auto applied = applied_lsn(context.recipient, context.move());
    if (!covers_fence(barrier, applied)) {
        throw FatalError({"opening " + context.move().subject() + " on node " + context.move().recipient,
                          "it has applied up to " + (applied ? applied->to_string() : "nothing") +
                              ", the fence needs " +
                              (barrier ? barrier->to_string() : "a barrier that the donor does not know"),
                          "the bucket stays closed; run `keyshift doctor` and compare both nodes with their backups"});
    }
}

/// DISABLE TRIGGER stops no reader; the triggers are dropped when the move settles.
void disable_reject_triggers(pg::Connection& node, const MoveTable& table)
{
    const auto rows = node.query("SELECT t.tgname FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid "
                                 "JOIN pg_namespace n ON n.oid = p.pronamespace "
                                 "WHERE t.tgrelid = $1::regclass AND NOT t.tgisinternal AND n.nspname = 'keyshift'",
                                 {table.leaf.quoted()});
    for (int row = 0; row < rows.rows(); ++row) {
        node.query("ALTER TABLE ONLY " + table.leaf.quoted() + " DISABLE TRIGGER " +
                   quote_identifier(rows.text(row, 0)));
    }
}

/// INV-MOV-1: comes only after the fence is durable and recorded.
void open_bucket(MoveContext& context)
{
    const BucketMove& move = context.move();
    pg::Connection& node = context.recipient;
    check_owner(node, move);
    node.query("SET LOCAL synchronous_commit = on");
    for (const MoveTable& table : context.tables) {
        disable_reject_triggers(node, table);
        restore_user_triggers(node, table);
    }
    const auto opened = node.query(
        "INSERT INTO keyshift.local_bucket (group_name, bucket, state, epoch, open_lsn, fence_lsn, open_xid, move, token) "
        "VALUES ($1, $2, 'open', $3, pg_current_wal_insert_lsn(), NULL, pg_current_xact_id(), $4, $5) "
        "ON CONFLICT (group_name, bucket) DO UPDATE SET state = excluded.state, epoch = excluded.epoch, "
        "open_lsn = excluded.open_lsn, fence_lsn = NULL, open_xid = excluded.open_xid, move = excluded.move, token = excluded.token "
        "RETURNING open_lsn",
        {move.group, std::to_string(number(move.bucket)), std::to_string(number(move.epoch)), std::to_string(move.id),
         move.token});
    catalog::refresh_ownership(node, move.group);
    catalog::write_local_placement(node, move.group, move.bucket, {move.recipient, move.epoch},
                                   context.recipient_node.address);
    emit_control_message(node, move, "open", opened.lsn(0, 0));
    failpoint("move.open.committing");
}

void measure_block(MoveContext& context, std::optional<double>& milliseconds)
{
    if (!context.block_began) {
        return;
    }
    const std::chrono::duration<double> block = std::chrono::steady_clock::now() - *context.block_began;
    milliseconds = block.count() * 1000;
    log::debug("resharder", "move={} write block: opened after {:.1f} ms", context.move().id, *milliseconds);
    context.environment.metrics->write_block_seconds.observe(block.count());
}

void switch_catalog(MoveContext& context, Lsn open, std::optional<double> milliseconds)
{
    const BucketMove& move = context.move();
    const std::string bucket = std::to_string(number(move.bucket));
    const std::string epoch = std::to_string(number(move.epoch));
    context.journal.step(MoveState::switched, [&](pg::Connection& catalog) {
        catalog.query(
            "UPDATE keyshift.bucket SET node = $3, epoch = $4 WHERE group_name = $1 AND bucket = $2 AND epoch < $4",
            {move.group, bucket, move.recipient, epoch});
        catalog.query("INSERT INTO keyshift.bucket_history (group_name, bucket, epoch, node, open_lsn) "
                      "VALUES ($1, $2, $3, $4, $5::pg_lsn) ON CONFLICT DO NOTHING",
                      {move.group, bucket, epoch, move.recipient, open.to_string()});
        catalog.query(
            "UPDATE keyshift.move SET open_lsn = $2::pg_lsn, write_block_ms = coalesce($3::float8, write_block_ms) WHERE id = $1",
            {std::to_string(move.id), open.to_string(),
             milliseconds ? std::optional(fmt::format("{:.3f}", *milliseconds)) : std::nullopt});
        catalog.query(
            "SELECT pg_notify($1, json_build_object('group', $2::text, 'bucket', $3::int, 'node', $4::text, 'epoch', $5::bigint)::text)",
            {catalog::kPlacementChannel, move.group, bucket, move.recipient, epoch});
        catalog::notify(catalog, "job");
    });
}

} // namespace

void open_recipient(MoveContext& context)
{
    std::optional<double> milliseconds;
    if (!is_opened_by(local_bucket(context.recipient, context.move()), context.move())) {
        check_coverage(context);
        pg::with_short_locks(
            context.recipient, [&] { open_bucket(context); },
            [&] { context.journal.waiting_for("a lock on the leaves on node " + context.move().recipient); },
            std::stop_token());
        measure_block(context, milliseconds);
        failpoint("move.open.committed");
    }
    switch_catalog(context, opened_at(context), milliseconds);
    context.tell_streams();
    log::info("resharder", "move={} {} switched to {} epoch={}", context.move().id, context.move().subject(),
              context.move().recipient, number(context.move().epoch));
}

void spread_switch(MoveContext& context)
{
    const BucketMove& move = context.move();
    for (const catalog::Node& node : catalog::nodes(context.catalog)) {
        if (node.name == move.donor || node.name == move.recipient || node.state == "removed") {
            continue;
        }
        try {
            pg::Connection connection(node.connection("placement"));
            pg::Transaction transaction(connection);
            catalog::write_local_placement(connection, move.group, move.bucket, {move.recipient, move.epoch},
                                           context.recipient_node.address);
            transaction.commit();
        } catch (const Error& error) {
            log::warning("resharder", "move={} node={} does not know of the switch yet: {}", move.id, node.name,
                         error.what());
        }
    }
}

} // namespace keyshift::resharder
