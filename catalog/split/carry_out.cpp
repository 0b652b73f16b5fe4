#include "catalog/split/carry_out.hpp"

#include "catalog/node_access.hpp"
#include "catalog/rows.hpp"
#include "catalog/split/leaf_swap.hpp"
#include "catalog/split/node_state.hpp"
#include "core/backoff.hpp"
#include "core/error.hpp"
#include "core/failpoint.hpp"
#include "core/json.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keyshift::catalog {

namespace {

std::string bucket_text(const Split& split)
{
    return std::to_string(number(split.bucket));
}

void refuse_moves(pg::Connection& catalog, const Split& split)
{
    const pg::Result moves =
        catalog.query("SELECT job, id, state FROM keyshift.move WHERE group_name = $1 AND bucket = $2::int "
                      "AND state NOT IN ('settling', 'done', 'aborted')",
                      {split.group, bucket_text(split)});
    if (moves.rows() > 0) {
        throw RefusedError(
            {split.subject(),
             fmt::format("move {} of job {} carries it: {}", moves.text(0, 1), moves.text(0, 0), moves.text(0, 2)),
             fmt::format("Wait for it (`keyshift reshard status {0}`) or cancel it (`keyshift reshard "
                         "cancel {0}`).",
                         moves.text(0, 0))});
    }
}

/// The donor's frozen leaf of its last move goes now, before the placeholder that it will be is replaced: the daemon clears it.
void end_grace(pg::Connection& catalog, const Split& split, const OnlineWork& online)
{
    catalog.query("UPDATE keyshift.move SET settle_until = now() WHERE group_name = $1 AND bucket = $2::int "
                  "AND state = 'settling'",
                  {split.group, bucket_text(split)});
    notify(catalog, "job");
    while (catalog
               .query("SELECT EXISTS (SELECT FROM keyshift.move WHERE group_name = $1 AND bucket = $2::int "
                      "AND state NOT IN ('done', 'aborted'))",
                      {split.group, bucket_text(split)})
               .boolean(0, 0)) {
        check_stop(online);
        online.show(0, "waits: the daemon clears what its last move left on the donor");
        sleep_for(std::chrono::milliseconds(100), online.stop);
    }
}

/// One split at work.
class Splitting {
public:
    Splitting(pg::Connection& catalog, Split split, const OnlineWork& online)
        : catalog_(catalog), split_(std::move(split)), online_(online), group_(group(catalog, split_.group)),
          tables_(tables_of_group(catalog, split_.group)), nodes_(open_nodes(catalog, "reshard split"))
    {
    }

    double run()
    {
        std::optional<Lsn> opened = opened_at(owner(), split_);
        if (!opened) {
            opened = split_owner();
        }
        failpoint("split.owner.persisted");
        try {
            spread(*opened);
        } catch (Error& error) {
            error.add_context(
                fmt::format("{} has the new buckets by now, the catalog or other nodes may not; repeat the "
                            "command, which goes on from there",
                            split_.node));
            throw;
        }
        return write_block_;
    }

private:
    OpenNode& owner_node()
    {
        return *std::find_if(nodes_.begin(), nodes_.end(),
                             [&](const OpenNode& open) { return open.node.name == split_.node; });
    }
    pg::Connection& owner() { return *owner_node().connection; }

    /// Whatever fails before the swap leaves the bucket as it was.
    Lsn split_owner()
    {
        try {
            drop_leaf_twins(owner(), split_, tables_); // of a command that was killed
            check_splittable(owner(), split_, tables_);
            const std::vector<LeafTwin> twins = make_leaf_twins(owner(), split_, group_.buckets, tables_, online_);
            complete_leaf_twins(owner(), twins, online_);
            write_block_ = swap_leaf_twins(
                owner(), split_, group_.buckets, twins, [&] { open_here(); }, online_);
        } catch (const Error&) {
            take_back();
            throw;
        }
        return opened_at(owner(), split_).value();
    }

    /// Where the catalog is in the same database, it is told in the same transaction.
    void open_here()
    {
        open_split(owner(), split_, owner_node().node.address);
        if (database_identity(catalog_) == database_identity(owner())) {
            record_split(
                owner(), split_,
                owner()
                    .query("SELECT open_lsn FROM keyshift.local_bucket WHERE group_name = $1 AND bucket = $2::int",
                           {split_.group, bucket_text(split_)})
                    .lsn(0, 0));
        }
    }

    /// By another connection: the first may be what failed, and its COMMIT may have landed. Then nothing is taken back.
    void take_back()
    {
        try {
            pg::Connection node(owner_node().node.connection("reshard split"));
            if (!opened_at(node, split_)) {
                drop_leaf_twins(node, split_, tables_);
                end_split(catalog_, split_, false);
            }
        } catch (const Error&) {
            // The record stays, and whoever repeats the command finds it.
        }
    }

    void spread(Lsn opened)
    {
        {
            pg::Transaction transaction(catalog_);
            record_split(catalog_, split_, opened);
            transaction.commit();
        }
        failpoint("split.catalog.persisted");
        for (OpenNode& open : nodes_) {
            if (open.node.name != split_.node && open.node.state != "adding") {
                split_placeholders(*open.connection, split_, group_, tables_, owner_node().node.address, online_);
                failpoint("split.placeholders.persisted");
            }
        }
        end_split(catalog_, split_, true);
    }

    pg::Connection& catalog_;
    const Split split_;
    const OnlineWork& online_;
    const Group group_;
    const std::vector<CapturedTable> tables_;
    std::vector<OpenNode> nodes_;
    double write_block_ = 0;
};

} // namespace

void check_group_splittable(pg::Connection& catalog, const Group& group)
{
    const std::string what = "splitting buckets of " + group.name;
    if (group.projection) {
        throw RefusedError(
            {what, "it is a projection: its buckets are filled from Kafka, not from their own rows",
             fmt::format("Drop it and make it again with more: `keyshift projection create {} --buckets N`.",
                         group.name)});
    }
    const pg::Result reading = catalog.query(
        "SELECT t.schema_name || '.' || t.table_name FROM keyshift.snapshot s JOIN keyshift.captured_table t ON t.id = s.table_id "
        "WHERE t.group_name = $1 AND s.state <> 'done' AND (s.state IN ('pending', 'running') OR s.condition IS NULL) LIMIT 1",
        {group.name});
    if (reading.rows() > 0) {
        throw RefusedError(
            {what, fmt::format("rows of {} are still being written to Kafka as snapshot events", reading.text(0, 0)),
             "Run the daemon (`keyshift run`) and wait; see `keyshift cdc status`."});
    }
    const pg::Result ddl =
        catalog.query("SELECT id FROM keyshift.ddl WHERE state = 'running' AND $1 = ANY (groups)", {group.name});
    if (ddl.rows() > 0) {
        throw RefusedError({what, fmt::format("statement {} of `keyshift ddl` is not on all nodes", ddl.text(0, 0)),
                            "Finish it first: `keyshift ddl --finish`."});
    }
}

Split plan_split(pg::Connection& catalog, const Group& group, BucketId bucket, std::vector<BucketId> made)
{
    const Placement place = placement(catalog, group.name).at(bucket);
    Split split;
    split.group = group.name;
    split.bucket = bucket;
    split.made = std::move(made);
    split.node = place.node;
    split.epoch = Epoch{number(place.epoch) + 1};
    refuse_moves(catalog, split);
    return split;
}

nlohmann::json describe_split(pg::Connection& catalog, const Split& split)
{
    const BucketLayout after = group(catalog, split.group).buckets.with(split.made);
    nlohmann::json into = nlohmann::json::array();
    for (const BucketId bucket : split.all()) {
        into.push_back({{"bucket", number(bucket)}, {"modulus", after.modulus(bucket)}});
    }
    return {{"bucket", number(split.bucket)}, {"node", split.node}, {"epoch", number(split.epoch)}, {"into", into}};
}

nlohmann::json go_on(pg::Connection& catalog, const Split& begun, const OnlineWork& online)
{
    nlohmann::json done = describe_split(catalog, begun);
    done["write_block_ms"] = Splitting(catalog, begun, online).run();
    return done;
}

nlohmann::json carry_out(pg::Connection& catalog, const Split& planned, const OnlineWork& online)
{
    end_grace(catalog, planned, online);
    const Split begun = begin_split(catalog, planned);
    failpoint("split.begun.persisted");
    return go_on(catalog, begun, online);
}

} // namespace keyshift::catalog
