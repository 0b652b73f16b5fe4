#include "projections/commands/composite.hpp"

#include "catalog/rows.hpp"
#include "core/json.hpp"

#include <fmt/core.h>

#include <utility>

namespace keyshift::projections {

std::string member_name(const std::string& projection, std::size_t number)
{
    return fmt::format("{}__m{}", projection, number);
}

namespace {

std::vector<Composite> read(pg::Connection& catalog, const std::string& condition,
                            const std::vector<pg::Parameter>& values)
{
    const pg::Result rows = catalog.query(
        "SELECT name, generation, view_schema, sql, key, members, coalesce(view_query, ''), coalesce(columns, '[]')::text, "
        "coalesce(to_char(keep_until AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), ''), error::text "
        "FROM keyshift.composite WHERE " +
            condition + " ORDER BY name, generation",
        values);
    std::vector<Composite> found;
    for (int row = 0; row < rows.rows(); ++row) {
        Composite& one = found.emplace_back();
        one.name = rows.text(row, 0);
        one.generation = static_cast<int>(rows.integer(row, 1));
        one.view_schema = rows.text(row, 2);
        one.sql = rows.text(row, 3);
        one.key = catalog::read_array(rows.text(row, 4));
        one.members = catalog::read_array(rows.text(row, 5));
        one.view_query = rows.text(row, 6);
        for (const auto& column : nlohmann::json::parse(rows.text(row, 7))) {
            one.columns.push_back({column.at("name"), column.at("type")});
        }
        one.keep_until = rows.text(row, 8);
        one.error = rows.is_null(row, 9) ? std::nullopt : std::optional(std::string(rows.text(row, 9)));
    }
    return found;
}

std::optional<Composite> read_one(pg::Connection& catalog, const std::string& name, const std::string& condition)
{
    std::vector<Composite> found = read(catalog, "name = $1 AND " + condition, {pg::Parameter(name)});
    return found.empty() ? std::nullopt : std::optional(std::move(found.front()));
}

const char* const kSucceeds = "NOT serving AND wanted = 'run' AND keep_until IS NULL";

} // namespace

std::optional<Composite> read_composite(pg::Connection& catalog, const std::string& name)
{
    return read_one(catalog, name, "serving");
}

std::optional<Composite> read_composite_successor(pg::Connection& catalog, const std::string& name)
{
    return read_one(catalog, name, kSucceeds);
}

std::optional<Composite> read_composite_kept(pg::Connection& catalog, const std::string& name)
{
    return read_one(catalog, name, "NOT serving AND wanted = 'run' AND keep_until IS NOT NULL");
}

std::vector<Composite> unsettled_composites(pg::Connection& catalog)
{
    return read(catalog, "NOT serving AND keep_until IS NULL AND error IS NULL", {});
}

bool is_successor(pg::Connection& catalog, const Composite& composite)
{
    const auto successor = read_composite_successor(catalog, composite.name);
    return successor && successor->generation == composite.generation;
}

bool is_to_go(pg::Connection& catalog, const Composite& composite)
{
    return catalog
               .query("SELECT FROM keyshift.composite WHERE name = $1 AND generation = $2 AND wanted = 'drop'",
                      {composite.name, std::to_string(composite.generation)})
               .rows() == 1;
}

std::vector<std::string> members_of(pg::Connection& catalog, const std::string& name)
{
    const auto composite = read_composite(catalog, name);
    return composite ? composite->members : std::vector{name};
}

std::vector<std::string> all_members_of(pg::Connection& catalog, const std::string& name)
{
    std::vector<std::string> all;
    for (const Composite& one : read(catalog, "name = $1", {pg::Parameter(name)})) {
        all.insert(all.end(), one.members.begin(), one.members.end());
    }
    return all.empty() ? std::vector{name} : all;
}

nlohmann::json columns_json(const std::vector<ProjectedColumn>& columns)
{
    nlohmann::json json = nlohmann::json::array();
    for (const ProjectedColumn& column : columns) {
        json.push_back({{"name", column.name}, {"type", column.type}});
    }
    return json;
}

std::string routed_member(pg::Connection& catalog, const std::string& name)
{
    const pg::Result row = catalog.query(
        "SELECT p.name FROM keyshift.composite c JOIN keyshift.projection p ON p.name = ANY (c.members) AND p.serving "
        "WHERE c.name = $1 AND c.serving AND p.definition ->> 'routed_as_schema' <> ''",
        {name});
    return row.rows() == 0 ? name : std::string(row.text(0, 0));
}

} // namespace keyshift::projections
