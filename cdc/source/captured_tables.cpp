#include "cdc/source/captured_tables.hpp"

#include "core/topic_names.hpp"

#include <algorithm>
#include <fmt/core.h>
#include <stdexcept>

namespace keyshift::cdc {

namespace {

std::vector<UnfinishedMove> unfinished_moves(pg::Connection& catalog, const std::string& node)
{
    const pg::Result rows = catalog.query(
        "SELECT id, position FROM keyshift.move WHERE donor = $1 AND position IS NOT NULL "
        "AND state IN ('copying', 'indexing', 'catching_up', 'attached') "
        "UNION ALL SELECT id, reverse_position FROM keyshift.move WHERE recipient = $1 "
        "AND reverse_position IS NOT NULL AND (state = 'switched' OR state = 'settling' AND settle_until > now())",
        {node});
    std::vector<UnfinishedMove> moves;
    for (int row = 0; row < rows.rows(); ++row) {
        moves.push_back({rows.integer(row, 0), rows.lsn(row, 1)});
    }
    return moves;
}

bool buckets_move(pg::Connection& catalog)
{
    return catalog
        .query("SELECT EXISTS (SELECT FROM keyshift.move m JOIN keyshift.job j ON j.id = m.job WHERE j.wanted = 'run' "
               "AND m.state IN ('planned', 'copying', 'indexing', 'catching_up', 'attached', 'fenced'))")
        .boolean(0, 0);
}

/// Two tables of which one is this node's must not share a topic; commands refuse it, but a catalog may be older than they.
std::optional<ErrorParts> find_topic_clash(pg::Connection& catalog, const std::string& node,
                                           const std::vector<catalog::CapturedTable>& tables)
{
    TopicNames topics(catalog::meta(catalog, "topic_prefix"));
    const auto is_ours = [&](const QualifiedName& name) {
        return std::ranges::any_of(tables, [&](const catalog::CapturedTable& table) {
            return table.captured && table.name == name && (table.node.empty() || table.node == node);
        });
    };
    for (const catalog::CapturedTable& table : tables) {
        const auto objection = table.captured ? topics.claim(table.name) : std::nullopt;
        if (objection && (is_ours(table.name) || (objection->other && is_ours(*objection->other)))) {
            return ErrorParts{fmt::format("capturing {} on {}", table.name.quoted(), node), objection->why,
                              objection->next + " Then start keyshift again."};
        }
    }
    return std::nullopt;
}

} // namespace

const catalog::CapturedTable& CapturedTables::with_number(std::int64_t table_id) const
{
    const auto table = std::ranges::find(by_name, table_id, [](const auto& entry) { return entry.second.id; });
    if (table == by_name.end()) {
        throw std::logic_error("no captured table has the number " + std::to_string(table_id));
    }
    return table->second;
}

bool CapturedTables::operator==(const CapturedTables& other) const
{
    const auto same = [](const auto& left, const auto& right) {
        return left.first == right.first && left.second.id == right.second.id &&
               left.second.group == right.second.group && left.second.epoch == right.second.epoch &&
               left.second.options == right.second.options;
    };
    return groups == other.groups && std::ranges::equal(by_name, other.by_name, same);
}

std::vector<PublishedTable> published_tables(const CatalogView& view)
{
    std::vector<PublishedTable> published;
    published.reserve(view.tables.by_name.size());
    for (const auto& [name, table] : view.tables.by_name) {
        published.push_back({name.quoted(), view.filtered.contains(name)});
    }
    return published;
}

CatalogView read_catalog_view(pg::Connection& catalog, const std::string& node)
{
    // One snapshot: a table never appears without its history.
    pg::Transaction transaction(catalog, pg::Transaction::Isolation::repeatable_read);
    CatalogView view;
    for (catalog::Group& group : catalog::groups(catalog)) {
        view.tables.groups.insert(group.name);
    }
    std::vector<catalog::CapturedTable> tables = catalog::tables(catalog);
    view.topic_clash = find_topic_clash(catalog, node, tables);
    for (catalog::CapturedTable& table : tables) {
        if (table.captured && (table.node.empty() || table.node == node)) {
            view.tables.by_name.emplace(table.name, std::move(table));
        }
    }
    for (const catalog::BucketHistory& row : catalog::history_of_node(catalog, node)) {
        view.history.push_back({row.group, row.bucket, row.epoch, row.open_lsn, row.fence_lsn});
    }
    view.moves = unfinished_moves(catalog, node);
    view.moving = buckets_move(catalog);
    const pg::Result filtered = catalog.query("SELECT schema_name, table_name FROM keyshift.captured_table t "
                                              "WHERE to_jsonb(t) -> 'options' ->> 'where' <> ''");
    for (int i = 0; i < filtered.rows(); ++i) {
        view.filtered.insert({std::string(filtered.text(i, 0)), std::string(filtered.text(i, 1))});
    }
    const pg::Result row =
        catalog.query("SELECT timeline, coalesce(gap_accepted, '0/0') FROM keyshift.node WHERE name = $1", {node});
    if (row.rows() > 0) {
        view.timeline = static_cast<std::uint32_t>(row.integer(0, 0));
        view.gap_accepted = row.lsn(0, 1);
    }
    const pg::Result snapshots = catalog.query(
        "SELECT DISTINCT schema_name, table_name FROM keyshift.snapshot s JOIN keyshift.captured_table t ON t.id = s.table_id "
        "WHERE s.node = $1 AND s.state IN ('pending', 'running')",
        {node});
    for (int i = 0; i < snapshots.rows(); ++i) {
        view.snapshotting.insert({std::string(snapshots.text(i, 0)), std::string(snapshots.text(i, 1))});
    }
    transaction.commit();
    return view;
}

} // namespace keyshift::cdc
