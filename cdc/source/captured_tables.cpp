#include "cdc/source/captured_tables.hpp"

#include <algorithm>

namespace keyshift::cdc {

namespace {

std::vector<UnfinishedMove> unfinished_moves(pg::Connection& catalog, const std::string& node)
{
    const pg::Result rows =
        catalog.query("SELECT id, position FROM keyshift.move WHERE donor = $1 AND position IS NOT NULL "
                      "AND state IN ('copying', 'indexing', 'catching_up', 'attached')",
                      {node});
    std::vector<UnfinishedMove> moves;
    for (int row = 0; row < rows.rows(); ++row) {
        moves.push_back({rows.integer(row, 0), rows.lsn(row, 1)});
    }
    return moves;
}

} // namespace

bool CapturedTables::operator==(const CapturedTables& other) const
{
    const auto same = [](const auto& left, const auto& right) {
        return left.first == right.first && left.second.id == right.second.id &&
               left.second.group == right.second.group;
    };
    return buckets_of_group == other.buckets_of_group && std::ranges::equal(by_name, other.by_name, same);
}

CatalogView read_catalog_view(pg::Connection& catalog, const std::string& node)
{
    // One snapshot: a table never appears without its history.
    pg::Transaction transaction(catalog, pg::Transaction::Isolation::repeatable_read);
    CatalogView view;
    for (catalog::Group& group : catalog::groups(catalog)) {
        view.tables.buckets_of_group.emplace(group.name, group.buckets);
    }
    for (catalog::CapturedTable& table : catalog::tables(catalog)) {
        if (table.captured && (table.node.empty() || table.node == node)) {
            view.tables.by_name.emplace(table.name, std::move(table));
        }
    }
    for (const catalog::BucketHistory& row : catalog::history_of_node(catalog, node)) {
        view.history.push_back({row.group, row.bucket, row.epoch, row.open_lsn, row.fence_lsn});
    }
    view.moves = unfinished_moves(catalog, node);
    view.snapshot_wanted =
        catalog.query("SELECT EXISTS (SELECT FROM keyshift.snapshot WHERE node = $1 AND state <> 'done')", {node})
            .boolean(0, 0);
    transaction.commit();
    return view;
}

} // namespace keyshift::cdc
