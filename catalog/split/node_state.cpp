#include "catalog/split/node_state.hpp"

#include "catalog/node_access.hpp"
#include "catalog/node_sql.hpp"
#include "catalog/rows.hpp"
#include "core/error.hpp"
#include "core/json.hpp"
#include "core/pg/blockers.hpp"
#include "core/pg/short_lock.hpp"

#include <fmt/format.h>

namespace keyshift::catalog {

namespace {

std::string number_text(BucketId bucket)
{
    return std::to_string(number(bucket));
}

void write_placements(pg::Connection& node, const Split& split, const pg::Address& owner)
{
    for (const BucketId bucket : split.all()) {
        write_local_placement(node, split.group, bucket, {split.node, split.epoch}, owner);
    }
}

bool knows(pg::Connection& node, const Split& split)
{
    return node
        .query("SELECT EXISTS (SELECT FROM keyshift.local_bucket WHERE group_name = $1 AND bucket = $2::int)",
               {split.group, number_text(split.made.back())})
        .boolean(0, 0);
}

void replace_placeholder(pg::Connection& node, const Split& split, const Group& after, const QualifiedName& root)
{
    const QualifiedName leaf = leaf_name(root, split.bucket);
    if (has_rows(node, leaf)) {
        throw FatalError(
            {fmt::format("{}: placeholder {} on {}", split.subject(), leaf.to_string(), node.name()),
             "it holds rows, and this node does not own the bucket",
             "`keyshift doctor` and `keyshift reshard verify` say more; see that no row is lost, empty it, and "
             "repeat the command."});
    }
    node.script(
        fmt::format("ALTER TABLE {} DETACH PARTITION {}; DROP TABLE {}", root.quoted(), leaf.quoted(), leaf.quoted()));
    for (const BucketId bucket : split.all()) {
        create_placeholder(node, root, after, bucket);
        create_reject_trigger(node, leaf_name(root, bucket), split.group, bucket, "");
    }
}

} // namespace

void open_split(pg::Connection& node, const Split& split, const pg::Address& address)
{
    const std::string epoch = std::to_string(number(split.epoch));
    const pg::Result opened = node.query(
        "UPDATE keyshift.local_bucket SET epoch = $3::bigint, open_lsn = pg_current_wal_insert_lsn(), move = NULL, token = NULL "
        "WHERE group_name = $1 AND bucket = $2::int AND state = 'open' RETURNING open_lsn",
        {split.group, number_text(split.bucket), epoch});
    if (opened.rows() != 1) {
        throw FatalError({split.subject(), "the bucket is not open on that node", "Run `keyshift doctor`."});
    }
    for (const BucketId bucket : split.made) {
        node.query("INSERT INTO keyshift.local_bucket (group_name, bucket, state, epoch, open_lsn, open_xid) "
                   "SELECT group_name, $3::int, state, epoch, open_lsn, open_xid FROM keyshift.local_bucket "
                   "WHERE group_name = $1 AND bucket = $2::int",
                   {split.group, number_text(split.bucket), number_text(bucket)});
    }
    refresh_ownership(node, split.group);
    write_placements(node, split, address);
    for (const BucketId bucket : split.all()) {
        const nlohmann::ordered_json content{{"type", "open"},
                                             {"move", 0},
                                             {"group", split.group},
                                             {"bucket", number(bucket)},
                                             {"epoch", number(split.epoch)},
                                             {"token", split.token},
                                             {"lsn", opened.lsn(0, 0).to_string()}};
        node.query("SELECT pg_logical_emit_message(true, 'keyshift', $1)", {content.dump()});
    }
}

std::optional<Lsn> opened_at(pg::Connection& node, const Split& split)
{
    // The lock on the old bucket's row, which a swap has changed before its COMMIT.
    pg::Transaction transaction(node);
    node.query("SELECT FROM keyshift.local_bucket WHERE group_name = $1 AND bucket = $2::int FOR UPDATE",
               {split.group, number_text(split.bucket)});
    if (!knows(node, split)) {
        return std::nullopt;
    }
    return node
        .query("SELECT open_lsn FROM keyshift.local_bucket WHERE group_name = $1 AND bucket = $2::int",
               {split.group, number_text(split.made.back())})
        .lsn(0, 0);
}

void split_placeholders(pg::Connection& node, const Split& split, const Group& group,
                        const std::vector<CapturedTable>& tables, const pg::Address& owner, const OnlineWork& work)
{
    if (knows(node, split)) {
        return;
    }
    Group after = group;
    after.buckets = group.buckets.with(split.made);
    std::vector<QualifiedName> roots;
    std::vector<std::string> locks;
    for (const CapturedTable& table : tables) {
        roots.push_back(table.name);
        locks.push_back("ONLY " + table.name.quoted());
        locks.push_back(leaf_name(table.name, split.bucket).quoted());
    }
    pg::with_short_locks(
        node,
        [&] {
            node.script("LOCK TABLE " + join(locks) + " IN ACCESS EXCLUSIVE MODE");
            for (const QualifiedName& root : roots) {
                replace_placeholder(node, split, after, root);
            }
            for (const BucketId bucket : split.made) {
                node.query("INSERT INTO keyshift.local_bucket (group_name, bucket) VALUES ($1, $2::int)",
                           {split.group, number_text(bucket)});
            }
            write_placements(node, split, owner);
            refresh_ownership(node, split.group);
        },
        [&] {
            const std::vector<pg::Blocker> holders = pg::blockers(node, roots, false, std::chrono::milliseconds(0));
            work.show(1, "waits: " + (holders.empty() ? "a lock on " + roots.front().to_string() + " on " + node.name()
                                                      : holders.front().sentence(node.name())));
        },
        work.stop);
}

} // namespace keyshift::catalog
