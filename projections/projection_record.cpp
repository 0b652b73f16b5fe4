#include "projections/projection_record.hpp"

#include <nlohmann/json.hpp>

namespace keyshift::projections {

using Json = nlohmann::json;

ProjectionRecord read_projection(pg::Connection& catalog, const std::string& name)
{
    const pg::Result row = catalog.query(
        "SELECT definition::text, state, wanted, sql, coalesce(start_offsets, '{}')::text, backfill::text, id "
        "FROM keyshift.projection WHERE name = $1",
        {name});
    if (row.rows() == 0) {
        std::string known;
        for (const std::string& other : projection_names(catalog)) {
            known += (known.empty() ? "" : ", ") + other;
        }
        throw RefusedError({"projection " + name, "there is none of this name",
                            known.empty() ? "`keyshift projection create` makes one." : "There are: " + known + "."});
    }
    ProjectionRecord record;
    record.id = row.integer(0, 6);
    record.definition = definition_from_json(Json::parse(row.text(0, 0)));
    record.state = row.text(0, 1);
    record.wanted = row.text(0, 2);
    record.sql = row.text(0, 3);
    const Json offsets = Json::parse(row.text(0, 4));
    for (const auto& [topic, partitions] : offsets.items()) {
        for (const auto& [partition, offset] : partitions.items()) {
            record.start_offsets[topic][std::stoi(partition)] = offset.get<std::int64_t>();
        }
    }
    const Json done = Json::parse(row.text(0, 5));
    for (const auto& [bucket, finished] : done.items()) {
        if (finished.is_boolean() && finished.get<bool>()) {
            record.backfilled.insert(bucket);
        }
    }
    return record;
}

std::vector<Definition> siblings(pg::Connection& catalog, const Definition& definition)
{
    const pg::Result rows = catalog.query(
        "SELECT definition::text FROM keyshift.projection WHERE name <> $1 ORDER BY id", {definition.name});
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
    const pg::Result rows = catalog.query("SELECT name FROM keyshift.projection ORDER BY name");
    std::vector<std::string> names;
    for (int row = 0; row < rows.rows(); ++row) {
        names.emplace_back(rows.text(row, 0));
    }
    return names;
}

void set_state(pg::Connection& catalog, const std::string& name, const std::string& state)
{
    catalog.query("UPDATE keyshift.projection SET state = $2, error = NULL WHERE name = $1 AND state <> $2",
                  {name, state});
}

namespace {

std::string json_text(const ErrorParts& error)
{
    return Json{{"what", error.what}, {"why", error.why}, {"next", error.next}}.dump();
}

} // namespace

void pause_with(pg::Connection& catalog, std::int64_t id, const ErrorParts& error)
{
    catalog.query("UPDATE keyshift.projection SET wanted = 'pause', state = 'paused', error = $2 WHERE id = $1",
                  {std::to_string(id), json_text(error)});
}

void set_error(pg::Connection& catalog, const std::string& name, const ErrorParts& error)
{
    catalog.query("UPDATE keyshift.projection SET state = 'failed', error = $2 WHERE name = $1",
                  {name, json_text(error)});
}

} // namespace keyshift::projections
