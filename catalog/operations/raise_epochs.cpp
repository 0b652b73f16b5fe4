#include "catalog/operations/raise_epochs.hpp"

#include <set>

namespace keyshift::catalog {

namespace {

/// Once the catalog has a bucket's fence it only goes forward, to the recipient: a standby that lacks the fence has it open, and must
/// stay recognizable by its epoch.
bool fenced(pg::Connection& catalog, const std::string& group, BucketId bucket, const Placement& place)
{
    return catalog
               .query("SELECT FROM keyshift.bucket_history WHERE group_name = $1 AND bucket = $2::int AND node = $3 "
                      "AND epoch = $4::bigint AND fence_lsn IS NOT NULL",
                      {group, std::to_string(number(bucket)), place.node, std::to_string(number(place.epoch))})
               .rows() == 1;
}

bool raise_on(pg::Connection& connection, const RaisedBucket& raised)
{
    return connection
               .query("UPDATE keyshift.local_bucket SET epoch = $3::bigint, open_lsn = pg_current_wal_insert_lsn() "
                      "WHERE group_name = $1 AND bucket = $2::int AND state = 'open' AND epoch <= $3::bigint "
                      "RETURNING bucket",
                      {raised.group, std::to_string(number(raised.bucket)), std::to_string(number(raised.epoch))})
               .rows() == 1;
}

} // namespace

std::vector<RaisedBucket> raise_epochs_on(pg::Connection& connection, pg::Connection& catalog, const Node& node,
                                          const std::vector<CapturedTable>& captured)
{
    std::set<std::string> groups;
    for (const CapturedTable& table : captured) {
        if (!table.group.empty()) {
            groups.insert(table.group);
        }
    }
    std::vector<RaisedBucket> raised;
    pg::Transaction transaction(connection);
    for (const std::string& group : groups) {
        for (const auto& [bucket, place] : placement(catalog, group)) {
            const RaisedBucket next{group, bucket, Epoch{number(place.epoch) + 1}};
            if (place.node == node.name && !fenced(catalog, group, bucket, place) && raise_on(connection, next)) {
                raised.push_back(next);
            }
        }
    }
    transaction.commit();
    return raised;
}

void record_raised_epochs(pg::Connection& catalog, const Node& node, const std::vector<RaisedBucket>& raised,
                          const std::vector<CapturedTable>& captured, Lsn begin)
{
    for (const RaisedBucket& one : raised) {
        const std::string bucket = std::to_string(number(one.bucket));
        const std::string epoch = std::to_string(number(one.epoch));
        catalog.query("UPDATE keyshift.bucket SET epoch = $3::bigint WHERE group_name = $1 AND bucket = $2::int",
                      {one.group, bucket, epoch});
        catalog.query("INSERT INTO keyshift.bucket_history (group_name, bucket, epoch, node, open_lsn) "
                      "VALUES ($1, $2::int, $3::bigint, $4, $5::pg_lsn)",
                      {one.group, bucket, epoch, node.name, begin.to_string()});
        catalog.query(
            "UPDATE keyshift.move SET epoch = $3::bigint + 1 WHERE group_name = $1 AND bucket = $2::int "
            "AND donor = $4 AND epoch = $3::bigint AND state NOT IN ('fenced', 'switched', 'settling', 'done', 'aborted')",
            {one.group, bucket, epoch, node.name});
    }
    for (const CapturedTable& table : captured) {
        if (table.group.empty()) {
            catalog.query("UPDATE keyshift.captured_table SET epoch = epoch + 1 WHERE id = $1::bigint",
                          {std::to_string(table.id)});
        }
    }
}

} // namespace keyshift::catalog
