#include "projections/aggregation.hpp"

#include "core/json.hpp"

namespace keyshift::projections {

namespace {

using Json = nlohmann::json;

/// A text, or the number of a measure.
Json to_json(const GroupExpression& expression)
{
    Json pieces = Json::array();
    for (const auto& piece : expression) {
        std::visit([&](const auto& value) { pieces.push_back(value); }, piece);
    }
    return pieces;
}

GroupExpression expression_from_json(const Json& json)
{
    GroupExpression expression;
    for (const Json& piece : json) {
        if (piece.is_string()) {
            expression.emplace_back(piece.get<std::string>());
        } else {
            expression.emplace_back(piece.get<std::size_t>());
        }
    }
    return expression;
}

} // namespace

NLOHMANN_JSON_SERIALIZE_ENUM(MeasureKind, {{MeasureKind::count, "count"},
                                           {MeasureKind::sum, "sum"},
                                           {MeasureKind::average, "average"},
                                           {MeasureKind::every_row, "every_row"},
                                           {MeasureKind::any_row, "any_row"},
                                           {MeasureKind::when_read, "when_read"}})

Json to_json(const Aggregation& aggregation)
{
    Json group = Json::array();
    for (const GroupColumn& one : aggregation.group) {
        group.push_back(
            {{"sql", one.sql}, {"base_column", one.base_column}, {"type", one.type}, {"may_be_null", one.may_be_null}});
    }
    Json measures = Json::array();
    for (const Measure& one : aggregation.measures) {
        measures.push_back({{"kind", one.kind},
                            {"call", one.call},
                            {"argument", one.argument},
                            {"filter", one.filter},
                            {"type", one.type},
                            {"numeric", one.numeric}});
    }
    Json shown = Json::array();
    for (const ShownColumn& one : aggregation.shown) {
        shown.push_back({{"name", one.name}, {"type", one.type}, {"sql", to_json(one.sql)}});
    }
    return {{"key", aggregation.key},
            {"group", group},
            {"measures", measures},
            {"shown", shown},
            {"having", to_json(aggregation.having)}};
}

Aggregation aggregation_from_json(const Json& json)
{
    Aggregation aggregation;
    aggregation.key = json.at("key").get<std::vector<std::string>>();
    for (const Json& one : json.at("group")) {
        aggregation.group.push_back({one.at("sql"), one.at("base_column"), one.at("type"), one.at("may_be_null")});
    }
    for (const Json& one : json.at("measures")) {
        aggregation.measures.push_back({one.at("kind").get<MeasureKind>(), one.at("call"), one.at("argument"),
                                        one.at("filter"), one.at("type"), one.at("numeric")});
    }
    for (const Json& one : json.at("shown")) {
        aggregation.shown.push_back({one.at("name"), one.at("type"), expression_from_json(one.at("sql"))});
    }
    aggregation.having = expression_from_json(json.at("having"));
    return aggregation;
}

} // namespace keyshift::projections
