#include "projections/definition.hpp"

#include "core/json.hpp"

#include <fmt/core.h>

#include <stdexcept>

namespace keyshift::projections {

using Json = nlohmann::json;

QualifiedName Definition::table() const
{
    return {"keyshift", fmt::format("{}__g{}", name, generation)};
}

QualifiedName Definition::totals() const
{
    return {"keyshift", fmt::format("{}__t{}", name, generation)};
}

std::size_t Definition::base_column(const std::string& column) const
{
    for (std::size_t index = 0; index < base_columns.size(); ++index) {
        if (base_columns[index].name == column) {
            return index;
        }
    }
    throw std::logic_error("projection " + name + " has no base column " + column);
}

std::string text_of(const BaseColumn& column)
{
    return (column.computed.empty() ? quote_identifier(column.name) : "(" + column.computed + ")") + "::text";
}

std::vector<std::string> key_sources(const Definition& definition)
{
    std::vector<std::string> sources;
    for (const std::string& name : definition.key_base) {
        const BaseColumn& column = definition.base_columns[definition.base_column(name)];
        const std::vector<std::string> one = column.computed.empty() ? std::vector{name} : column.computed_from;
        sources.insert(sources.end(), one.begin(), one.end());
    }
    return sources;
}

const std::vector<std::string>& shown_key(const Definition& definition)
{
    return definition.aggregation ? definition.aggregation->key : definition.key;
}

Json to_json(const Definition& definition)
{
    Json columns = Json::array();
    for (const ProjectedColumn& column : definition.columns) {
        columns.push_back({{"name", column.name}, {"type", column.type}});
    }
    Json base_columns = Json::array();
    for (const BaseColumn& column : definition.base_columns) {
        base_columns.push_back({{"name", column.name},
                                {"type", column.type},
                                {"type_name", column.type_name},
                                {"modifier", column.modifier},
                                {"array", column.array},
                                {"form", column.form},
                                {"former", column.former},
                                {"computed", column.computed},
                                {"computed_from", column.computed_from}});
    }
    Json json{{"kind", definition.aggregation ? "aggregate" : "rekey"},
              {"name", definition.name},
              {"generation", definition.generation},
              {"view_schema", definition.view_schema},
              {"base", {{"schema", definition.base.schema}, {"table", definition.base.name}}},
              {"alias", definition.alias},
              {"select_list", definition.select_list},
              {"condition", definition.condition},
              {"columns", columns},
              {"key", definition.key},
              {"key_base", definition.key_base},
              {"key_types", definition.key_types},
              {"pk", definition.pk},
              {"pk_names", definition.pk_names},
              {"base_columns", base_columns},
              {"identity_indexes", definition.identity_indexes},
              {"identity_full", definition.identity_full},
              {"skip_null", definition.skip_null},
              {"group", definition.group},
              {"part_of", definition.part_of},
              {"everywhere", definition.everywhere},
              {"routed_as_schema", definition.routed_as_schema},
              {"lookups", definition.lookups}};
    if (definition.aggregation) {
        json["aggregation"] = to_json(*definition.aggregation);
    }
    return json;
}

Definition definition_from_json(const Json& json)
{
    Definition definition;
    definition.name = json.at("name");
    definition.generation = json.at("generation");
    definition.view_schema = json.at("view_schema");
    definition.base = {json.at("base").at("schema"), json.at("base").at("table")};
    definition.alias = json.at("alias");
    definition.select_list = json.at("select_list");
    definition.condition = json.at("condition");
    for (const Json& column : json.at("columns")) {
        definition.columns.push_back({column.at("name"), column.at("type")});
    }
    definition.key = json.at("key").get<std::vector<std::string>>();
    definition.key_base = json.at("key_base").get<std::vector<std::string>>();
    definition.key_types = json.at("key_types").get<std::vector<std::string>>();
    definition.pk = json.at("pk").get<std::vector<std::string>>();
    definition.pk_names = json.at("pk_names").get<std::vector<std::string>>();
    for (const Json& column : json.at("base_columns")) {
        definition.base_columns.push_back(
            {column.at("name"), column.at("type"), column.at("type_name"), column.at("modifier"), column.at("array"),
             column.value("form", column.value("decimal_text", false) ? "string" : ""),
             column.value("former", std::vector<std::string>()), column.value("computed", ""),
             column.value("computed_from", std::vector<std::string>())});
    }
    definition.identity_indexes = json.at("identity_indexes").get<std::vector<std::string>>();
    definition.identity_full = json.value("identity_full", false);
    definition.skip_null = json.value("skip_null", false);
    definition.group = json.value("group", definition.name);
    definition.part_of = json.value("part_of", "");
    definition.everywhere = json.value("everywhere", false);
    definition.routed_as_schema = json.value("routed_as_schema", definition.view_schema);
    definition.lookups = json.value("lookups", definition.lookups);
    if (json.contains("aggregation")) {
        definition.aggregation = aggregation_from_json(json.at("aggregation"));
    }
    return definition;
}

} // namespace keyshift::projections
