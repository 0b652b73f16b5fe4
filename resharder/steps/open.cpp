#include "catalog/node_sql.hpp"
#include "core/failpoint.hpp"
#include "core/log.hpp"
#include "core/pg/short_lock.hpp"
#include "metrics/families.hpp"
#include "resharder/move_owner.hpp"
#include "resharder/steps/open_transaction.hpp"
#include "resharder/steps/steps.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

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

/// For an attempt that finds the bucket fenced: what the fence waited for is on the donor.
void check_coverage(MoveContext& context)
{
    if (!context.group.projection) {
        check_coverage(context.move(), applied_lsn(context.donor, context.move()),
                       applied_lsn(context.recipient, context.move()));
    }
}

void measure_block(MoveContext& context, std::optional<double>& milliseconds)
{
    if (!context.block) {
        return;
    }
    context.block->passed("opened");
    milliseconds = std::max(context.longest_block_ms, context.block->milliseconds());
    log::debug("resharder", "move={} write block, ms: {}", context.move().id, context.block->described());
    context.environment.metrics->write_block_seconds.observe(*milliseconds / 1000);
}

void switch_catalog(MoveContext& context, Lsn open, std::optional<double> milliseconds)
{
    const BucketMove& move = context.move();
    const std::string bucket = std::to_string(number(move.bucket));
    const std::string epoch = std::to_string(number(move.epoch));
    // In the transaction that lets the recipient's slot go past the open: it keeps what the donor's copy will lack.
    const bool keeps_copy = !context.group.projection && context.environment.options->now().grace.count() > 0;
    context.journal.step(MoveState::switched, [&](pg::Connection& catalog) {
        catalog.query(
            "UPDATE keyshift.bucket SET node = $3, epoch = $4 WHERE group_name = $1 AND bucket = $2 AND epoch < $4",
            {move.group, bucket, move.recipient, epoch});
        catalog.query("INSERT INTO keyshift.bucket_history (group_name, bucket, epoch, node, open_lsn) "
                      "VALUES ($1, $2, $3, $4, $5::pg_lsn) ON CONFLICT DO NOTHING",
                      {move.group, bucket, epoch, move.recipient, open.to_string()});
        catalog.query(
            "UPDATE keyshift.move SET open_lsn = $2::pg_lsn, write_block_ms = coalesce($3::float8, write_block_ms), "
            "reverse_position = CASE WHEN $4::boolean THEN $2::pg_lsn END WHERE id = $1",
            {std::to_string(move.id), open.to_string(),
             milliseconds ? std::optional(fmt::format("{:.3f}", *milliseconds)) : std::nullopt,
             keeps_copy ? "true" : "false"});
        catalog.query(
            "SELECT pg_notify($1, json_build_object('group', $2::text, 'bucket', $3::int, 'node', $4::text, 'epoch', $5::bigint)::text)",
            {catalog::kPlacementChannel, move.group, bucket, move.recipient, epoch});
        catalog::notify(catalog, "job");
    });
}

/// nullopt: it was open already.
std::optional<Lsn> open_now(MoveContext& context)
{
    if (const auto ahead = std::exchange(context.open_ahead, nullptr)) {
        return ahead->commit();
    }
    if (is_opened_by(local_bucket(context.recipient, context.move()), context.move())) {
        return std::nullopt;
    }
    check_coverage(context);
    Lsn opened;
    const auto open = [&] {
        opened = write_open(context, context.recipient);
        failpoint("move.open.committing");
    };
    const auto between_tries = [&] {
        context.journal.waiting_for("a lock on the leaves on node " + context.move().recipient);
    };
    pg::with_short_locks(context.recipient, open, between_tries, std::stop_token());
    return opened;
}

} // namespace

void check_coverage(const BucketMove& move, std::optional<Lsn> barrier, std::optional<Lsn> applied)
{
    if (!covers_fence(barrier, applied)) {
        throw FatalError({"opening " + move.subject() + " on node " + move.recipient,
                          "it has applied up to " + (applied ? applied->to_string() : "nothing") +
                              ", the fence needs " +
                              (barrier ? barrier->to_string() : "a barrier that the donor does not know"),
                          "the bucket stays closed; run `keyshift doctor` and compare both nodes with their backups"});
    }
}

void open_recipient(MoveContext& context)
{
    std::optional<double> milliseconds;
    const std::optional<Lsn> opened = open_now(context);
    if (opened) {
        measure_block(context, milliseconds);
        failpoint("move.open.committed");
    }
    switch_catalog(context, opened ? *opened : opened_at(context), milliseconds);
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
