#include "cdc/source/schema_json.hpp"

#include "core/json.hpp"

namespace keyshift::cdc {

namespace {

using Json = nlohmann::json;

Json json_of(const TypeSchema& type)
{
    Json json{{"oid", type.oid}, {"name", type.name}, {"kind", std::string(1, type.kind)}, {"modifier", type.modifier}};
    if (type.element) {
        json["element"] = json_of(*type.element);
    }
    if (type.base) {
        json["base"] = json_of(*type.base);
    }
    if (!type.enum_labels.empty()) {
        json["labels"] = type.enum_labels;
    }
    return json;
}

TypeSchema type_of(const Json& json)
{
    TypeSchema type;
    type.oid = json.at("oid").get<std::uint32_t>();
    type.name = json.at("name").get<std::string>();
    type.kind = json.at("kind").get<std::string>().at(0);
    type.modifier = json.at("modifier").get<std::int32_t>();
    if (json.contains("element")) {
        type.element = std::make_shared<const TypeSchema>(type_of(json.at("element")));
    }
    if (json.contains("base")) {
        type.base = std::make_shared<const TypeSchema>(type_of(json.at("base")));
    }
    type.enum_labels = json.value("labels", std::vector<std::string>());
    return type;
}

Json json_of(const ColumnSchema& column)
{
    Json json{{"name", column.name},
              {"type", json_of(column.type)},
              {"not_null", column.not_null},
              {"has_default", column.has_default},
              {"default_call", column.default_call},
              {"identity", column.identity}};
    if (column.default_literal) {
        json["default"] = *column.default_literal;
    }
    return json;
}

ColumnSchema column_of(const Json& json)
{
    ColumnSchema column;
    column.name = json.at("name").get<std::string>();
    column.type = type_of(json.at("type"));
    column.not_null = json.at("not_null").get<bool>();
    column.has_default = json.at("has_default").get<bool>();
    column.default_call = json.at("default_call").get<bool>();
    column.identity = json.at("identity").get<bool>();
    if (json.contains("default")) {
        column.default_literal = json.at("default").get<std::string>();
    }
    return column;
}

} // namespace

std::string schema_to_json(const TableSchema& table)
{
    Json json{{"schema", table.root.schema},
              {"table", table.root.name},
              {"key", table.key},
              {"order", table.order},
              {"identity", std::string(1, table.identity)},
              {"columns", Json::array()}};
    for (const ColumnSchema& column : table.columns) {
        json["columns"].push_back(json_of(column));
    }
    return json.dump();
}

std::optional<TableSchema> schema_from_json(std::string_view text)
{
    try {
        const Json json = Json::parse(text);
        TableSchema table;
        table.root = {json.at("schema").get<std::string>(), json.at("table").get<std::string>()};
        table.key = json.at("key").get<std::vector<std::size_t>>();
        table.order = json.value("order", std::vector<std::size_t>());
        table.identity = json.at("identity").get<std::string>().at(0);
        for (const Json& column : json.at("columns")) {
            table.columns.push_back(column_of(column));
        }
        for (const std::vector<std::size_t>* list : {&table.key, &table.order}) {
            for (const std::size_t column : *list) {
                static_cast<void>(table.columns.at(column));
            }
        }
        return table;
    } catch (const Json::exception&) {
        return std::nullopt;
    } catch (const std::out_of_range&) {
        return std::nullopt;
    }
}

} // namespace keyshift::cdc
