#include "cdc/source/schema_history.hpp"

#include "cdc/source/schema_json.hpp"
#include "core/log.hpp"

#include <array>

namespace keyshift::cdc {

namespace {

/// Of one table: more changes than these do not fit between two readings of the same WAL.
constexpr std::size_t kMostEditions = 16;

void save_edition(pg::Connection& catalog, const std::string& node, std::int64_t table_id, const SchemaEdition& edition)
{
    const std::string table = std::to_string(table_id);
    const std::string changed_by = std::to_string(edition.changed_by);
    const std::string json = schema_to_json(*edition.table);
    const std::string most = std::to_string(kMostEditions);
    const std::array<pg::Parameter, 4> values{node, table, changed_by, json};
    catalog.run_prepared("cdc edition",
                         "INSERT INTO keyshift.schema_history (node, table_id, changed_by, schema) "
                         "SELECT $1, id, $3::bigint, $4::jsonb FROM keyshift.captured_table WHERE id = $2::bigint",
                         values);
    const std::array<pg::Parameter, 3> old{node, table, most};
    catalog.run_prepared(
        "cdc old editions",
        "DELETE FROM keyshift.schema_history WHERE node = $1 AND table_id = $2::bigint AND number <= (SELECT number "
        "FROM keyshift.schema_history WHERE node = $1 AND table_id = $2::bigint ORDER BY number DESC OFFSET $3::int LIMIT 1)",
        old);
}

void save_relation(pg::Connection& catalog, const std::string& node, std::uint32_t oid, const KnownRelation& relation)
{
    const std::string number = std::to_string(oid);
    const std::string table = std::to_string(relation.table_id);
    const std::array<pg::Parameter, 4> values{node, number, table, relation.own ? "true" : "false"};
    catalog.run_prepared("cdc relation",
                         "INSERT INTO keyshift.captured_relation (node, relation, table_id, own) "
                         "SELECT $1, $2::bigint, id, $4::boolean FROM keyshift.captured_table WHERE id = $3::bigint "
                         "ON CONFLICT (node, relation) DO UPDATE SET table_id = excluded.table_id, own = excluded.own",
                         values);
}

/// The name that another captured table has by now stays with that one.
void save_name(pg::Connection& catalog, std::int64_t table_id, const QualifiedName& name)
{
    const std::string table = std::to_string(table_id);
    const std::array<pg::Parameter, 3> values{table, name.schema, name.name};
    const pg::Result renamed = catalog.run_prepared(
        "cdc rename",
        "UPDATE keyshift.captured_table AS t SET schema_name = $2, table_name = $3 WHERE id = $1::bigint "
        "AND group_name IS NULL AND NOT EXISTS (SELECT FROM keyshift.captured_table o WHERE o.schema_name = $2 "
        "AND o.table_name = $3 AND o.node IS NOT DISTINCT FROM t.node)",
        values);
    if (renamed.affected() != 0) {
        log::info("cdc", "a captured table was renamed, and is {} from now on", name.to_string());
    }
}

} // namespace

std::vector<SchemaEdition> SchemaHistory::editions(std::int64_t table_id) const
{
    std::scoped_lock lock(mutex_);
    const auto found = editions_.find(table_id);
    return found == editions_.end() ? std::vector<SchemaEdition>() : found->second;
}

void SchemaHistory::add(std::int64_t table_id, SchemaEdition edition)
{
    std::scoped_lock lock(mutex_);
    std::vector<SchemaEdition>& of_table = editions_[table_id];
    if (of_table.size() == kMostEditions) {
        of_table.erase(of_table.begin());
    }
    of_table.push_back(edition);
    unsaved_.editions.emplace_back(table_id, std::move(edition));
}

std::optional<KnownRelation> SchemaHistory::relation(std::uint32_t oid) const
{
    std::scoped_lock lock(mutex_);
    const auto found = relations_.find(oid);
    return found == relations_.end() ? std::nullopt : std::optional(found->second);
}

void SchemaHistory::note(std::uint32_t oid, const KnownRelation& relation)
{
    std::scoped_lock lock(mutex_);
    const auto [known, added] = relations_.try_emplace(oid, relation);
    if (added || known->second.table_id != relation.table_id || known->second.own != relation.own) {
        known->second = relation;
        unsaved_.relations.emplace_back(oid, relation);
    }
}

void SchemaHistory::renamed(std::int64_t table_id, const QualifiedName& name)
{
    std::scoped_lock lock(mutex_);
    unsaved_.names.emplace_back(table_id, name);
}

void SchemaHistory::exchange(pg::Connection& catalog)
{
    if (!loaded_) {
        load(catalog);
        loaded_ = true;
    }
    Unsaved unsaved;
    {
        std::scoped_lock lock(mutex_);
        unsaved = unsaved_;
    }
    if (!unsaved.editions.empty() || !unsaved.relations.empty() || !unsaved.names.empty()) {
        save(catalog, unsaved);
        forget_saved(unsaved);
    }
}

void SchemaHistory::load(pg::Connection& catalog)
{
    const pg::Result rows = catalog.query(
        "SELECT table_id, changed_by, schema FROM keyshift.schema_history WHERE node = $1 ORDER BY number", {node_});
    const pg::Result relations =
        catalog.query("SELECT relation, table_id, own FROM keyshift.captured_relation WHERE node = $1", {node_});
    std::scoped_lock lock(mutex_);
    for (int row = 0; row < rows.rows(); ++row) {
        if (auto table = schema_from_json(rows.text(row, 2))) {
            editions_[rows.integer(row, 0)].push_back({std::make_shared<const TableSchema>(std::move(*table)),
                                                       static_cast<std::uint32_t>(rows.integer(row, 1))});
        }
    }
    for (int row = 0; row < relations.rows(); ++row) {
        relations_.try_emplace(static_cast<std::uint32_t>(relations.integer(row, 0)),
                               KnownRelation{relations.integer(row, 1), relations.boolean(row, 2)});
    }
}

void SchemaHistory::save(pg::Connection& catalog, const Unsaved& unsaved) const
{
    pg::Transaction transaction(catalog);
    for (const auto& [table, edition] : unsaved.editions) {
        save_edition(catalog, node_, table, edition);
    }
    for (const auto& [oid, relation] : unsaved.relations) {
        save_relation(catalog, node_, oid, relation);
    }
    for (const auto& [table, name] : unsaved.names) {
        save_name(catalog, table, name);
    }
    transaction.commit();
}

void SchemaHistory::forget_saved(const Unsaved& saved)
{
    const auto drop = [](auto& list, std::size_t count) {
        list.erase(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(count));
    };
    std::scoped_lock lock(mutex_);
    drop(unsaved_.editions, saved.editions.size());
    drop(unsaved_.relations, saved.relations.size());
    drop(unsaved_.names, saved.names.size());
}

} // namespace keyshift::cdc
