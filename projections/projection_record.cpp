#include "projections/projection_record.hpp"

#include "core/json.hpp"

#include <fmt/core.h>

namespace keyshift::projections {

using Json = nlohmann::json;

namespace {

const char* const kColumns =
    "definition::text, state, wanted, sql, coalesce(start_offsets, '{}')::text, backfill::text, id, serving, filled_nodes::text, "
    "keep_until IS NOT NULL";

ProjectionRecord record_of(const pg::Result& rows, int at)
{
    ProjectionRecord record;
    record.id = rows.integer(at, 6);
    record.definition = definition_from_json(Json::parse(rows.text(at, 0)));
    record.state = rows.text(at, 1);
    record.wanted = rows.text(at, 2);
    record.sql = rows.text(at, 3);
    record.serving = rows.boolean(at, 7);
    record.kept = rows.boolean(at, 9);
    record.filled_nodes = Json::parse(rows.text(at, 8)).get<std::set<std::string>>();
    const Json offsets = Json::parse(rows.text(at, 4));
    for (const auto& [topic, partitions] : offsets.items()) {
        for (const auto& [partition, offset] : partitions.items()) {
            record.start_offsets[topic][std::stoi(partition)] = offset.get<std::int64_t>();
        }
    }
    const Json done = Json::parse(rows.text(at, 5));
    for (const auto& [bucket, finished] : done.items()) {
        if (finished.is_boolean() && finished.get<bool>()) {
            record.backfilled.insert(bucket);
        }
    }
    return record;
}

std::vector<ProjectionRecord> records(pg::Connection& catalog, const std::string& condition, const std::string& value)
{
    const pg::Result rows = catalog.query(
        fmt::format("SELECT {} FROM keyshift.projection WHERE {} ORDER BY generation", kColumns, condition), {value});
    std::vector<ProjectionRecord> found;
    for (int row = 0; row < rows.rows(); ++row) {
        found.push_back(record_of(rows, row));
    }
    return found;
}

} // namespace

ProjectionRecord read_projection(pg::Connection& catalog, std::int64_t id)
{
    std::vector<ProjectionRecord> found = records(catalog, "id = $1", std::to_string(id));
    if (found.empty()) {
        throw RefusedError({fmt::format("projection {}", id), "it was dropped", "Nothing is left to be done."});
    }
    return std::move(found.front());
}

ProjectionRecord read_projection(pg::Connection& catalog, const std::string& name)
{
    std::vector<ProjectionRecord> found = records(catalog, "name = $1 AND serving", name);
    if (!found.empty()) {
        return std::move(found.front());
    }
    std::string known;
    for (const std::string& other : projection_names(catalog)) {
        known += (known.empty() ? "" : ", ") + other;
    }
    throw RefusedError({"projection " + name, "there is none of this name",
                        known.empty() ? "`keyshift projection create` makes one." : "There are: " + known + "."});
}

std::optional<ProjectionRecord> read_successor(pg::Connection& catalog, const std::string& name)
{
    std::vector<ProjectionRecord> found =
        records(catalog, "name = $1 AND NOT serving AND wanted <> 'drop' AND keep_until IS NULL", name);
    return found.empty() ? std::nullopt : std::optional(std::move(found.front()));
}

std::optional<ProjectionRecord> read_kept(pg::Connection& catalog, const std::string& name)
{
    std::vector<ProjectionRecord> found =
        records(catalog, "name = $1 AND wanted <> 'drop' AND keep_until IS NOT NULL", name);
    return found.empty() ? std::nullopt : std::optional(std::move(found.front()));
}

bool expire_kept(pg::Connection& catalog, const std::string& name)
{
    return catalog
               .query("UPDATE keyshift.projection SET wanted = 'drop', state = 'dropping', keep_until = NULL "
                      "WHERE name = $1 AND NOT serving AND keep_until < now()",
                      {name})
               .affected() > 0;
}

std::vector<ProjectionRecord> succeeded_generations(pg::Connection& catalog, const std::string& name)
{
    return records(catalog, "name = $1 AND NOT serving AND wanted = 'drop'", name);
}

std::vector<Definition> all_generations(pg::Connection& catalog, const std::string& name)
{
    std::vector<Definition> generations;
    for (ProjectionRecord& record : records(catalog, "name = $1", name)) {
        generations.push_back(std::move(record.definition));
    }
    return generations;
}

bool is_moving(pg::Connection& catalog, const std::string& name)
{
    return catalog.query("SELECT FROM keyshift.move WHERE group_name = $1 AND state NOT IN ('done', 'aborted')", {name})
               .rows() > 0;
}

std::vector<Definition> siblings(pg::Connection& catalog, const Definition& definition)
{
    const pg::Result rows = catalog.query(
        "SELECT definition::text FROM keyshift.projection WHERE name <> $1 AND serving AND wanted <> 'drop' ORDER BY id",
        {definition.name});
    std::vector<Definition> found;
    for (int row = 0; row < rows.rows(); ++row) {
        Definition other = definition_from_json(Json::parse(rows.text(row, 0)));
        if (other.base == definition.base) {
            found.push_back(std::move(other));
        }
    }
    return found;
}

std::vector<std::string> projection_names(pg::Connection& catalog)
{
    const pg::Result rows = catalog.query("SELECT name FROM keyshift.shown_projection ORDER BY name");
    std::vector<std::string> names;
    for (int row = 0; row < rows.rows(); ++row) {
        names.emplace_back(rows.text(row, 0));
    }
    return names;
}

void set_state(pg::Connection& catalog, std::int64_t id, const std::string& state)
{
    catalog.query("UPDATE keyshift.projection SET state = $2, error = NULL WHERE id = $1 AND state <> $2",
                  {std::to_string(id), state});
}

namespace {

std::string json_text(const ErrorParts& error)
{
    return Json{{"what", error.what}, {"why", error.why}, {"next", error.next}}.dump();
}

} // namespace

void pause_with(pg::Connection& catalog, std::int64_t id, const ErrorParts& error)
{
    catalog.query("UPDATE keyshift.projection SET wanted = 'pause', state = 'paused', error = $2 "
                  "WHERE id = $1 AND wanted <> 'drop'",
                  {std::to_string(id), json_text(error)});
}

void wait_with(pg::Connection& catalog, std::int64_t id, const std::optional<ErrorParts>& error)
{
    catalog.query(
        "UPDATE keyshift.projection SET error = $2 WHERE id = $1 AND wanted = 'run' AND error IS DISTINCT FROM $2",
        {std::to_string(id), error ? std::optional(json_text(*error)) : std::nullopt});
}

void set_error(pg::Connection& catalog, std::int64_t id, const ErrorParts& error)
{
    catalog.query("UPDATE keyshift.projection SET state = 'failed', error = $2 WHERE id = $1",
                  {std::to_string(id), json_text(error)});
}

} // namespace keyshift::projections
