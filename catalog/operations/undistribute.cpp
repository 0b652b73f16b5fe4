#include "catalog/node_access.hpp"
#include "catalog/node_sql.hpp"
#include "catalog/online/fill.hpp"
#include "catalog/online/swap.hpp"
#include "catalog/operations.hpp"
#include "catalog/rows.hpp"
#include "catalog/split/split_record.hpp"
#include "catalog/strict.hpp"
#include "core/backoff.hpp"
#include "core/error.hpp"
#include "core/failpoint.hpp"
#include "core/json.hpp"
#include "core/pg/short_lock.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keyshift::catalog {

namespace {

struct Work {
    CapturedTable table;
    std::vector<OpenNode> nodes;
    std::size_t holder = 0;
    std::vector<std::string> leaves; ///< OIDs on the holder
    std::uint64_t epoch = 1;         ///< above that of every bucket
    bool replaced = false;           ///< by an earlier run that died before the catalog knew
};

std::string undistributing(const QualifiedName& table)
{
    return "bringing together " + table.to_string();
}

CapturedTable distributed_table(pg::Connection& catalog, const QualifiedName& name)
{
    for (CapturedTable& table : tables(catalog)) {
        if (table.name == name && !table.group.empty() && table.captured) {
            return table;
        }
    }
    throw RefusedError(
        {undistributing(name), "it is not a distributed table", "`keyshift table list` shows which are."});
}

std::size_t only_owner(pg::Connection& catalog, const Work& work)
{
    const std::map<BucketId, Placement> places = placement(catalog, work.table.group);
    const std::string& owner = places.begin()->second.node;
    const auto elsewhere =
        std::find_if(places.begin(), places.end(), [&](const auto& one) { return one.second.node != owner; });
    if (elsewhere != places.end()) {
        throw RefusedError(
            {undistributing(work.table.name),
             fmt::format("buckets of group {} are on {} and on {}, and its rows have to be on one node",
                         work.table.group, owner, elsewhere->second.node),
             fmt::format("Bring them together first: `keyshift reshard start --to {}`, with --buckets for "
                         "those of other nodes.",
                         owner)});
    }
    const auto found = std::find_if(work.nodes.begin(), work.nodes.end(),
                                    [&](const OpenNode& open) { return open.node.name == owner; });
    return static_cast<std::size_t>(found - work.nodes.begin());
}

void refuse_users(pg::Connection& catalog, const Work& work)
{
    const QualifiedName& name = work.table.name;
    const pg::Result moves = catalog.query(
        "SELECT count(*) FROM keyshift.move WHERE group_name = $1 AND state NOT IN ('settling', 'done', 'aborted')",
        {work.table.group});
    if (moves.integer(0, 0) > 0) {
        throw RefusedError({undistributing(name),
                            fmt::format("{} moves of its group are not finished", moves.text(0, 0)),
                            "Wait until `keyshift reshard status` says done."});
    }
    const pg::Result projections =
        catalog.query("SELECT coalesce(part_of, name) FROM keyshift.projection WHERE definition::text LIKE '%' || "
                      "to_json($1::text)::text || '%' AND state <> 'dropping'",
                      {name.name});
    if (projections.rows() > 0) {
        throw RefusedError({undistributing(name), fmt::format("projection {} reads it", projections.text(0, 0)),
                            fmt::format("keyshift projection drop {}", projections.text(0, 0))});
    }
}

/// Moves would take one side of such a key away from the other.
void refuse_foreign_keys(pg::Connection& catalog, const Work& work, const TableDefinition& definition)
{
    std::vector<QualifiedName> others;
    for (const CapturedTable& table : tables(catalog)) {
        if (!table.group.empty() && table.name != work.table.name) {
            others.push_back(table.name);
        }
    }
    const auto refuse = [&](const QualifiedName& table, const std::string& key) {
        throw RefusedError(
            {undistributing(work.table.name),
             fmt::format("foreign key {} of {} ties it to a table that stays distributed", key, table.to_string()),
             fmt::format("ALTER TABLE {} DROP CONSTRAINT {};", table.quoted(), quote_identifier(key))});
    };
    for (const ConstraintDefinition& key : definition.constraints) {
        if (std::find(others.begin(), others.end(), key.referenced) != others.end()) {
            refuse(work.table.name, key.name);
        }
    }
    for (const IncomingForeignKey& key :
         read_incoming_foreign_keys(*work.nodes[work.holder].connection, work.table.name)) {
        if (std::find(others.begin(), others.end(), key.table) != others.end()) {
            refuse(key.table, key.constraint.name);
        }
    }
}

void read_leaves(Work& work)
{
    const pg::Result rows = work.nodes[work.holder].connection->query(
        "SELECT relid::oid FROM pg_partition_tree(to_regclass($1)) WHERE isleaf", {work.table.name.quoted()});
    for (int row = 0; row < rows.rows(); ++row) {
        work.leaves.emplace_back(rows.text(row, 0));
    }
}

Work prepare(pg::Connection& catalog, const QualifiedName& name)
{
    check_version(catalog);
    Work work;
    work.table = distributed_table(catalog, name);
    work.nodes = open_nodes(catalog, "undistribute");
    work.holder = only_owner(catalog, work);
    refuse_users(catalog, work);
    for (const auto& [bucket, place] : placement(catalog, work.table.group)) {
        work.epoch = std::max(work.epoch, number(place.epoch) + 1);
    }
    pg::Connection& holder = *work.nodes[work.holder].connection;
    work.replaced = !is_registered_root(holder, name);
    const TableDefinition definition = read_table(holder, name);
    refuse_foreign_keys(catalog, work, definition);
    if (!work.replaced) {
        check_replaceable(holder, definition);
        read_leaves(work);
    }
    return work;
}

/// Donors' frozen leaves go now, before their tables do: the daemon clears them.
void end_grace(pg::Connection& catalog, const Work& work, const OnlineWork& online)
{
    catalog.query("UPDATE keyshift.move SET settle_until = now() WHERE group_name = $1 AND state = 'settling'",
                  {work.table.group});
    notify(catalog, "job");
    while (true) {
        const std::string left(
            catalog
                .query("SELECT count(*) FROM keyshift.move WHERE group_name = $1 AND state NOT IN ('done', 'aborted')",
                       {work.table.group})
                .text(0, 0));
        if (left == "0") {
            return;
        }
        check_stop(online);
        online.show(0, fmt::format("waits: the daemon clears what {} moves left on their donors", left));
        sleep_for(std::chrono::milliseconds(100), online.stop);
    }
}

/// Before the WAL has the first event of the table in one piece, the catalog has its epoch; the leaves are known by number
/// to a stream that reads their events late.
void announce(pg::Connection& catalog, const Work& work)
{
    const std::string id = std::to_string(work.table.id);
    catalog.query("UPDATE keyshift.captured_table SET epoch = $2::bigint WHERE id = $1::bigint",
                  {id, std::to_string(work.epoch)});
    if (!work.replaced) { // else the run that replaced them wrote them
        catalog.query("UPDATE keyshift.captured_table SET former_leaves = $2::bigint[] WHERE id = $1::bigint",
                      {id, write_array(work.leaves)});
    }
    notify(catalog, "table");
}

void replace(Work& work, const OnlineWork& online)
{
    const OpenNode& holder = work.nodes[work.holder];
    pg::Connection& node = *holder.connection;
    DistributedRoot plain;
    plain.definition = read_table(node, work.table.name);
    plain.group.buckets = BucketLayout();
    drop_twin(node, work.table.name); // of a command that was killed
    const auto bind = [&](bool bound) {
        pg::with_short_locks(node, [&] { bind_owner(node, work.table.name, bound); }, {}, {});
    };
    bind(false);
    const Twin twin = make_twin(node, plain, online);
    try {
        fill_twin(node, twin, online);
        compare_twin(node, twin, online);
        wait_for_snapshots(node, twin, online);
        prepare_references(node, twin, online);
        swap_twin(
            node, holder.node.slot, twin, [&] { add_to_publication(node, holder.node.slot, twin.name); },
            [&] { forget_table(node, work.table.name, work.table.group); }, online);
    } catch (const Error&) {
        drop_twin(node, work.table.name);
        bind(true);
        throw;
    }
}

/// A stream that starts from now on knows the leaves by number, whatever the catalog says of the table by then.
void note_leaves(pg::Connection& catalog, const Work& work)
{
    catalog.query("INSERT INTO keyshift.captured_relation (node, relation, table_id, own) "
                  "SELECT $1, unnest(former_leaves), id, false FROM keyshift.captured_table WHERE id = $2::bigint "
                  "ON CONFLICT DO NOTHING",
                  {work.nodes[work.holder].node.name, std::to_string(work.table.id)});
}

/// Somebody holds the daemon's advisory lock on this catalog.
bool daemon_runs(pg::Connection& catalog)
{
    return catalog
        .query("SELECT EXISTS (SELECT FROM pg_locks l, (SELECT hashtext('keyshift daemon')::bigint AS key) k "
               "WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted "
               "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
               "AND l.classid = ((k.key >> 32) & 4294967295)::oid AND l.objid = (k.key & 4294967295)::oid)")
        .boolean(0, 0);
}

/// Until the stream has sent what the leaves held: one that began before note_leaves() would not know them when the catalog
/// has forgotten them. It may be between two connections.
void wait_for_stream(pg::Connection& catalog, Work& work, const OnlineWork& online)
{
    const OpenNode& holder = work.nodes[work.holder];
    const std::string now(holder.connection->query("SELECT pg_current_wal_insert_lsn()").text(0, 0));
    const auto behind = [&] {
        const pg::Result slot = holder.connection->query(
            "SELECT active, confirmed_flush_lsn < $2::pg_lsn FROM pg_replication_slots WHERE slot_name = $1",
            {holder.node.slot, now});
        return slot.rows() > 0 && slot.boolean(0, 1) &&
               (slot.boolean(0, 0) || (!holder.node.capture_paused && daemon_runs(catalog)));
    };
    while (behind()) {
        check_stop(online);
        online.show(1, "waits until the stream of " + holder.node.name + " has sent what was written before");
        sleep_for(std::chrono::milliseconds(100), online.stop);
    }
}

void write_catalog(pg::Connection& catalog, const Work& work)
{
    const std::string id = std::to_string(work.table.id);
    const std::string& node = work.nodes[work.holder].node.name;
    pg::Transaction transaction(catalog);
    catalog.query(
        "UPDATE keyshift.captured_table SET group_name = NULL, node = $2, key_columns = '{}', strict = false WHERE id = $1::bigint",
        {id, node});
    const bool unread =
        catalog
            .query("WITH gone AS (DELETE FROM keyshift.snapshot WHERE table_id = $1::bigint RETURNING state) "
                   "SELECT count(*) FILTER (WHERE state <> 'done') > 0 FROM gone",
                   {id})
            .boolean(0, 0);
    if (unread) {
        catalog.query("INSERT INTO keyshift.snapshot (table_id, node, bucket) VALUES ($1::bigint, $2, 0)", {id, node});
    }
    catalog.query("DELETE FROM keyshift.table_group g WHERE name = $1 AND NOT EXISTS "
                  "(SELECT FROM keyshift.captured_table t WHERE t.group_name = g.name)",
                  {work.table.group});
    notify(catalog, "table");
    transaction.commit();
}

/// The other nodes' placeholders; they are empty and refuse every write.
void clear_others(const Work& work)
{
    for (std::size_t i = 0; i < work.nodes.size(); ++i) {
        pg::Connection& node = *work.nodes[i].connection;
        if (i == work.holder || !is_registered_root(node, work.table.name)) {
            continue;
        }
        pg::Transaction transaction(node);
        node.script(fmt::format("DROP TABLE IF EXISTS {} CASCADE", work.table.name.quoted()));
        forget_table(node, work.table.name, work.table.group);
        transaction.commit();
    }
}

} // namespace

nlohmann::json undistribute(pg::Connection& catalog, const std::string& table, bool dry_run, const OnlineWork& online)
{
    const QualifiedName name = QualifiedName::parse(table);
    const CommandLock lock(catalog, undistributing(name));
    check_version(catalog);
    refuse_unfinished_split(catalog, undistributing(name));
    Work work = prepare(catalog, name);
    if (!dry_run) {
        end_grace(catalog, work, online);
        announce(catalog, work);
        if (!work.replaced) {
            replace(work, online);
        }
        failpoint("undistribute.holder.persisted");
        note_leaves(catalog, work);
        wait_for_stream(catalog, work, online);
        clear_others(work);
        failpoint("undistribute.others.persisted");
        write_catalog(catalog, work);
    }
    return {{"table", name.to_string()}, {"node", work.nodes[work.holder].node.name}, {"dry_run", dry_run}};
}

} // namespace keyshift::catalog
