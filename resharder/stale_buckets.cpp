#include "resharder/stale_buckets.hpp"

#include "catalog/node_slot.hpp"
#include "catalog/node_sql.hpp"
#include "catalog/strict.hpp"
#include "core/error.hpp"
#include "core/failpoint.hpp"
#include "core/json.hpp"
#include "core/log.hpp"
#include "core/pg/replication_connection.hpp"
#include "core/pg/short_lock.hpp"
#include "resharder/bucket_hash.hpp"
#include "resharder/move_context.hpp"
#include "resharder/steps/steps.hpp"

#include <fmt/format.h>

#include <map>
#include <utility>

namespace keyshift::resharder {

namespace {

struct Believed {
    BucketMove place; ///< group, bucket; epoch of the catalog's owner
    std::string owner;
    bool left = false; ///< this node's epoch of it has a fence in the bucket history
    bool made_by_split = false;
    std::optional<std::string> moved_hash; ///< of what left this node, or came to it, last
};

struct Local {
    bool open = false;
    std::int64_t epoch = 0;
};

/// Of buckets that this node owns, or once owned; not of projections, whose rows come from the topics. The catalog before the
/// node: what is open at a lower epoch than the catalog has seen fenced is stale, however late the node is asked.
std::vector<Believed> believed(pg::Connection& catalog, const std::string& node)
{
    const auto rows = catalog.query(
        "SELECT b.group_name, b.bucket, b.epoch, b.node, "
        "(SELECT max(h.epoch) FROM keyshift.bucket_history h WHERE h.group_name = b.group_name AND h.bucket = b.bucket AND h.node = $1 AND h.fence_lsn IS NOT NULL), "
        "(SELECT CASE WHEN b.node = $1 THEN m.recipient_hash ELSE m.donor_hash END FROM keyshift.move m WHERE m.group_name = b.group_name AND m.bucket = b.bucket "
        " AND m.verified AND $1 IN (m.donor, m.recipient) ORDER BY m.epoch DESC LIMIT 1), b.bucket >= g.buckets "
        "FROM keyshift.bucket b JOIN keyshift.table_group g ON g.name = b.group_name AND g.kind = 'table' "
        "WHERE b.node = $1 OR EXISTS (SELECT FROM keyshift.bucket_history h WHERE h.group_name = b.group_name AND h.bucket = b.bucket AND h.node = $1) "
        "ORDER BY b.group_name, b.bucket",
        {node});
    std::vector<Believed> all;
    for (int row = 0; row < rows.rows(); ++row) {
        Believed one;
        one.place.group = rows.text(row, 0);
        one.place.bucket = static_cast<BucketId>(rows.integer(row, 1));
        one.place.epoch = static_cast<Epoch>(rows.integer(row, 2));
        one.owner = rows.text(row, 3);
        one.left = !rows.is_null(row, 4);
        one.moved_hash = rows.optional_text(row, 5);
        one.made_by_split = rows.boolean(row, 6);
        // The epoch up to which this node has nothing to say any more.
        if (one.left) {
            one.place.owner_epoch = rows.integer(row, 4);
        }
        all.push_back(std::move(one));
    }
    return all;
}

std::map<std::pair<std::string, std::int64_t>, Local> locals(pg::Connection& node)
{
    const auto rows = node.query("SELECT group_name, bucket, state = 'open', epoch FROM keyshift.local_bucket");
    std::map<std::pair<std::string, std::int64_t>, Local> all;
    for (int row = 0; row < rows.rows(); ++row) {
        all[{std::string(rows.text(row, 0)), rows.integer(row, 1)}] = {rows.boolean(row, 2), rows.integer(row, 3)};
    }
    return all;
}

class Mending {
public:
    Mending(pg::Connection& catalog, const catalog::Node& node, std::optional<Lsn> fork)
        : catalog_(catalog), node_(node), fork_(fork), believed_(believed(catalog, node.name)),
          connection_(node.connection("returned node")), locals_(locals(connection_))
    {
    }

    nlohmann::json run()
    {
        for (const Believed& one : believed_) {
            const auto found = locals_.find({one.place.group, static_cast<std::int64_t>(number(one.place.bucket))});
            if (found == locals_.end()) {
                if (one.owner == node_.name && one.made_by_split) {
                    add(one, "split_lost", 0,
                        "the catalog has it as made by a split, which the node has lost: its rows are in the bucket that was split, "
                        "written and streamed from there; neither bucket can move before the node is as the catalog says");
                }
                continue;
            }
            const Local& local = found->second;
            if (local.open && one.left && local.epoch <= one.place.owner_epoch) {
                fence_again(one);
            } else if (!local.open && one.owner == node_.name && local.epoch < epoch_of(one) && !under_way(one)) {
                open_again(one);
            }
        }
        return std::move(report_);
    }

private:
    static std::int64_t epoch_of(const Believed& one) { return static_cast<std::int64_t>(number(one.place.epoch)); }

    /// A move that is past its fence opens it, or has just fenced it.
    bool under_way(const Believed& one)
    {
        return catalog_
                   .query(
                       "SELECT FROM keyshift.move WHERE group_name = $1 AND bucket = $2::int AND state NOT IN ('settling', 'done', 'aborted')",
                       {one.place.group, std::to_string(number(one.place.bucket))})
                   .rows() > 0;
    }

    std::vector<MoveTable> tables(const Believed& one) { return tables_of_move(catalog_, connection_, one.place); }

    std::string hash(const std::vector<MoveTable>& tables)
    {
        std::vector<std::string> leaves;
        for (const MoveTable& table : tables) {
            leaves.push_back(table.leaf.quoted());
        }
        return bucket_hash(connection_, tables, leaves);
    }

    std::int64_t rows(const std::vector<MoveTable>& tables)
    {
        std::int64_t all = 0;
        for (const MoveTable& table : tables) {
            all += connection_.query("SELECT count(*) FROM ONLY " + table.leaf.quoted()).integer(0, 0);
        }
        return all;
    }

    void add(const Believed& one, const char* state, std::int64_t rows, const std::string& why)
    {
        report_.push_back({{"group", one.place.group},
                           {"bucket", number(one.place.bucket)},
                           {"state", state},
                           {"owner", one.owner},
                           {"rows", rows},
                           {"why", why}});
        log::error("resharder", "node={} bucket {} of {}: {} ({} rows)", node_.name, number(one.place.bucket),
                   one.place.group, why, rows);
    }

    void fence_again(const Believed& one)
    {
        const std::vector<MoveTable> moved = tables(one);
        const std::string bucket = std::to_string(number(one.place.bucket));
        pg::with_short_locks(
            connection_,
            [&] {
                for (const MoveTable& table : moved) {
                    catalog::create_reject_trigger(connection_, table.leaf, one.place.group, one.place.bucket, kToken);
                }
                connection_.query(
                    "UPDATE keyshift.local_bucket SET state = 'closed', fence_lsn = pg_current_wal_insert_lsn(), "
                    "move = NULL, token = NULL WHERE group_name = $1 AND bucket = $2::int",
                    {one.place.group, bucket});
                catalog::refresh_ownership(connection_, one.place.group);
                catalog::map_changed(connection_, one.place.group);
                catalog::write_local_placement(connection_, one.place.group, one.place.bucket,
                                               {one.owner, one.place.epoch},
                                               catalog::node(catalog_, one.owner).address);
            },
            {}, {});
        failpoint("returned.fenced");
        if (fork_) { // below it the WAL is the one that the catalog knows
            catalog_.query("UPDATE keyshift.bucket_history SET fence_lsn = least(fence_lsn, $4::pg_lsn) "
                           "WHERE group_name = $1 AND bucket = $2::int AND node = $3 AND fence_lsn IS NOT NULL",
                           {one.place.group, bucket, node_.name, fork_->to_string()});
        }
        const bool unchanged = one.moved_hash && hash(moved) == *one.moved_hash;
        const std::int64_t held = rows(moved);
        if (unchanged) {
            clear(moved);
        }
        for (const MoveTable& table : moved) { // from now on nobody passes
            pg::with_short_locks(
                connection_,
                [&] {
                    catalog::create_reject_trigger(connection_, table.leaf, one.place.group, one.place.bucket, "");
                    connection_.query("ALTER TABLE " + table.leaf.quoted() + " RESET (autovacuum_enabled)");
                },
                {}, {});
        }
        if (unchanged) {
            add(one, "fenced_again", held,
                "the node had lost that it left; it is fenced again, and what it held was moved unchanged");
        } else {
            add(one, "written", held,
                fmt::format(
                    "the node had lost that it left and its rows differ from what was moved: it is fenced again, and the rows stay "
                    "in its leaves until somebody has compared them with node {}'s",
                    one.owner));
        }
    }

    void clear(const std::vector<MoveTable>& moved)
    {
        pg::Transaction transaction(connection_);
        connection_.query("SELECT set_config('keyshift.mover', $1, true)", {kToken});
        for (auto table = moved.rbegin(); table != moved.rend(); ++table) {
            silence_user_triggers(connection_, *table);
            connection_.query("DELETE FROM ONLY " + table->leaf.quoted());
            restore_user_triggers(connection_, *table);
        }
        transaction.commit();
    }

    void open_again(const Believed& one)
    {
        const std::vector<MoveTable> moved = tables(one);
        const std::int64_t held = rows(moved);
        if (!one.moved_hash || hash(moved) != *one.moved_hash) {
            add(one, "not_open", held,
                "the catalog gives it to this node, which has lost that it came; it is not opened, since its rows are not "
                "those that were moved");
            return;
        }
        const std::string bucket = std::to_string(number(one.place.bucket));
        std::string opened;
        pg::with_short_locks(
            connection_,
            [&] {
                for (const MoveTable& table : moved) {
                    catalog::drop_reject_trigger(connection_, table.leaf);
                    restore_user_triggers(connection_, table);
                }
                opened =
                    connection_
                        .query(
                            "UPDATE keyshift.local_bucket SET state = 'open', epoch = $3::bigint, open_lsn = pg_current_wal_insert_lsn(), "
                            "fence_lsn = NULL, open_xid = pg_current_xact_id(), move = NULL, token = NULL "
                            "WHERE group_name = $1 AND bucket = $2::int AND state <> 'open' AND epoch < $3::bigint RETURNING open_lsn",
                            {one.place.group, bucket, std::to_string(number(one.place.epoch))})
                        .text(0, 0);
                // Before the first write of it, the catalog knows from where on its events count.
                catalog_.query("UPDATE keyshift.bucket_history SET open_lsn = least(open_lsn, $4::pg_lsn) "
                               "WHERE group_name = $1 AND bucket = $2::int AND epoch = $3::bigint",
                               {one.place.group, bucket, std::to_string(number(one.place.epoch)), opened});
                catalog::refresh_ownership(connection_, one.place.group);
                catalog::write_local_placement(connection_, one.place.group, one.place.bucket,
                                               {node_.name, one.place.epoch}, node_.address);
            },
            {}, {});
        add(one, "opened_again", held,
            "the node had lost that it came; its rows are those that were moved, and it is open again");
    }

    static constexpr const char* kToken = "returned node";

    pg::Connection& catalog_;
    const catalog::Node& node_;
    std::optional<Lsn> fork_;
    std::vector<Believed> believed_;
    pg::Connection connection_;
    std::map<std::pair<std::string, std::int64_t>, Local> locals_;
    nlohmann::json report_ = nlohmann::json::array();
};

} // namespace

std::optional<Lsn> fork_of(const catalog::Node& node, std::uint32_t present)
{
    if (present == node.timeline || node.timeline == 0) {
        return std::nullopt;
    }
    const auto ancestors = pg::ReplicationConnection(node.connection("returned node")).ancestors(present);
    const auto fork = ancestors.find(node.timeline);
    return fork == ancestors.end() ? std::nullopt : std::optional(fork->second);
}

void mend_if_returned(pg::Connection& catalog, const std::string& name)
{
    const catalog::Node node = catalog::node(catalog, name);
    std::uint32_t present = 0;
    {
        pg::Connection connection(node.connection("returned node"));
        const auto rows = connection.query(
            "SELECT (SELECT system_identifier FROM pg_control_system())::text = $1, pg_is_in_recovery()",
            {node.system_identifier});
        if (!rows.boolean(0, 0) || rows.boolean(0, 1)) {
            return; // the stream says so
        }
        present = catalog::timeline_of(connection);
    }
    mend_returned_node(catalog, node, fork_of(node, present));
}

nlohmann::json mend_returned_node(pg::Connection& catalog, const catalog::Node& node, std::optional<Lsn> fork)
{
    return Mending(catalog, node, fork).run();
}

} // namespace keyshift::resharder
