#include "catalog/rights.hpp"
#include "resharder/steps/leaf_columns.hpp"
#include "resharder/steps/steps.hpp"

#include <fmt/format.h>

namespace keyshift::resharder {

namespace {

RefusedError refusal(const MoveContext& context, std::string why, std::string next)
{
    return RefusedError(
        {"moving " + context.move().subject() + " from " + context.move().donor + " to " + context.move().recipient,
         std::move(why), std::move(next)});
}

void donor_owns(MoveContext& context)
{
    const auto rows =
        context.donor.query("SELECT state, epoch FROM keyshift.local_bucket WHERE group_name = $1 AND bucket = $2",
                            {context.move().group, std::to_string(number(context.move().bucket))});
    if (rows.rows() != 1 || rows.text(0, 0) != "open") {
        throw refusal(context, "the donor's own record says that the bucket is not open there",
                      "compare keyshift.local_bucket there with `keyshift route`; run `keyshift doctor`");
    }
    const auto epoch = static_cast<Epoch>(rows.integer(0, 1));
    if (number(epoch) + 1 != number(context.move().epoch)) {
        throw refusal(context,
                      fmt::format("the donor's epoch is {}, the move expects {}", number(epoch),
                                  number(context.move().epoch) - 1),
                      "make a new plan: `keyshift reshard plan`");
    }
}

void same_columns(MoveContext& context)
{
    const auto there = leaf_columns(context.donor, context.tables);
    const auto here = leaf_columns(context.recipient, context.tables);
    for (std::size_t at = 0; at < context.tables.size(); ++at) {
        if (there[at].empty() || here[at].empty()) {
            throw refusal(context,
                          "table " + context.tables[at].leaf.to_string() + " does not exist on node " +
                              (there[at].empty() ? context.move().donor : context.move().recipient),
                          "run `keyshift doctor`");
        }
    }
    refuse_other_columns(context, there, here);
}

void has_primary_key(const MoveContext& context, const MoveTable& table)
{
    // No stream is applied to a projection's bucket, so its rows need not be told apart.
    if (table.primary_key.empty() && !context.group.projection) {
        throw refusal(context, "table " + table.root.to_string() + " has no primary key",
                      "add one that holds the shard key");
    }
}

void snapshots_done(MoveContext& context)
{
    const auto rows = context.catalog.query(
        "SELECT count(*) FROM keyshift.snapshot s JOIN keyshift.captured_table t ON t.id = s.table_id "
        "WHERE t.group_name = $1 AND s.node = $2 AND s.bucket = $3 AND s.state <> 'done' "
        "AND (s.state IN ('pending', 'running') OR s.condition IS NULL)",
        {context.move().group, context.move().donor, std::to_string(number(context.move().bucket))});
    if (rows.integer(0, 0) > 0) {
        throw TransientError({"moving " + context.move().subject(),
                              "its rows are still to be written to Kafka as snapshot events",
                              "wait, or where the snapshot failed, read the rows again; see `keyshift cdc status`"});
    }
}

/// Rows that point at a reference table find its rows where they come to.
void references_live(MoveContext& context)
{
    const std::string& recipient = context.move().recipient;
    const auto wanted = context.catalog.query(
        "SELECT format('%I.%I', schema_name, table_name), schema_name || '.' || table_name FROM keyshift.captured_table "
        "WHERE reference AND node <> $1 ORDER BY id",
        {recipient});
    for (int row = 0; row < wanted.rows(); ++row) {
        const auto copy = context.recipient.query(
            "SELECT FROM keyshift.local_reference WHERE root = pg_catalog.to_regclass($1) AND state = 'live'",
            {wanted.text(row, 0)});
        if (copy.rows() == 0) {
            throw TransientError(
                {"moving " + context.move().subject(),
                 fmt::format("the copy of reference table {} on {} is not complete", wanted.text(row, 1), recipient),
                 fmt::format("wait; `keyshift table show {}` says how far it is and what it waits for",
                             wanted.text(row, 1))});
        }
    }
}

/// What a projection of several tables needs whole is there before the first bucket that is read with it.
void whole_tables_filled(MoveContext& context)
{
    const auto lacking = context.catalog.query(
        "SELECT p.definition -> 'base' ->> 'table' FROM keyshift.projection p WHERE p.part_of = $1 AND p.serving "
        "AND (p.definition ->> 'everywhere')::boolean AND NOT p.filled_nodes ? $2 ORDER BY p.id",
        {context.move().group, context.move().recipient});
    if (lacking.rows() > 0) {
        throw TransientError(
            {"moving " + context.move().subject(),
             fmt::format("{} has not yet all rows of {} that the projection is read with", context.move().recipient,
                         lacking.text(0, 0)),
             fmt::format("wait; `keyshift projection show {}` says whether it is being filled", context.move().group)});
    }
}

void placeholder_is_empty(MoveContext& context, const MoveTable& table)
{
    const auto rows = context.recipient.query("SELECT EXISTS (SELECT FROM ONLY " + table.leaf.quoted() + ")");
    if (rows.boolean(0, 0)) {
        throw refusal(
            context, "the recipient's placeholder " + table.leaf.to_string() + " holds rows",
            "an earlier move may still be settling there; look at `keyshift reshard list`, then remove the rows");
    }
}

void has_rights(MoveContext& context, const MoveTable& table)
{
    for (pg::Connection* node : {&context.donor, &context.recipient}) {
        catalog::refuse_missing("moving " + context.move().subject(),
                                catalog::missing_to_distribute(*node, table.root));
    }
}

} // namespace

void preflight(MoveContext& context)
{
    donor_owns(context);
    snapshots_done(context);
    references_live(context);
    whole_tables_filled(context);
    same_columns(context);
    for (const MoveTable& table : context.tables) {
        has_rights(context, table);
        has_primary_key(context, table);
        if (!context.move().adopts) {
            placeholder_is_empty(context, table);
        }
    }
}

} // namespace keyshift::resharder
