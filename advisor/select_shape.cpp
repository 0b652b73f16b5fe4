#include "advisor/statement_reader.hpp"

#include "core/json.hpp"

#include <algorithm>
#include <array>

namespace keyshift::advisor {

using Json = nlohmann::json;

namespace {

/// The SELECT has a part that no definition has: nothing is made of it.
struct NoShape {};

/// Aggregates that a projection keeps as totals or behind an index.
constexpr std::array<std::string_view, 8> kAggregates{"count", "sum",      "avg",     "min",
                                                      "max",   "bool_and", "bool_or", "every"};

bool contains_node(const Json& node, std::string_view name)
{
    if (node.is_object() && node.contains(name)) {
        return true;
    }
    return node.is_structured() &&
           std::any_of(node.begin(), node.end(), [&](const Json& inner) { return contains_node(inner, name); });
}

class ShapeReader {
public:
    ShapeReader(const Statement& statement, const Tables& tables, std::size_t first)
        : statement_(statement), tables_(tables), next_(first)
    {
    }

    SelectShape read(const Json& select)
    {
        for (const char* clause : {"withClause", "distinctClause", "windowClause", "valuesLists", "lockingClause"}) {
            if (select.contains(clause)) {
                throw NoShape{};
            }
        }
        for (const Json& item : select.value("fromClause", Json::array())) {
            read_from(item);
        }
        if (shape_.joins.empty()) {
            throw NoShape{};
        }
        if (select.contains("whereClause")) {
            read_condition(select.at("whereClause"), nullptr);
        }
        for (const Json& item : select.value("groupClause", Json::array())) {
            const auto column = column_of(item);
            if (!column) {
                aggregates_alone_ = false;
            } else {
                shape_.groups.push_back(*column);
            }
        }
        read_outputs(select);
        return std::move(shape_);
    }
    std::size_t next() const { return next_; }

private:
    void read_from(const Json& item)
    {
        if (item.contains("RangeVar")) {
            shape_.joins.push_back({next_, false, {}});
            scope_.uses.push_back(next_++);
            return;
        }
        if (!item.contains("JoinExpr")) {
            throw NoShape{};
        }
        const Json& join = item.at("JoinExpr");
        read_from(join.at("larg"));
        if (!join.at("rarg").contains("RangeVar") || join.value("isNatural", false)) {
            throw NoShape{};
        }
        const std::vector<std::size_t> before = scope_.uses;
        read_from(join.at("rarg"));
        JoinedTable& right = shape_.joins.back();
        right.left = join.at("jointype") == "JOIN_LEFT";
        if (!right.left && join.at("jointype") != "JOIN_INNER") {
            throw NoShape{};
        }
        for (const Json& name : join.value("usingClause", Json::array())) {
            const std::string column = name.at("String").at("sval");
            const auto one = only_with_column(tables_, statement_.uses, before, column);
            const auto other = only_with_column(tables_, statement_.uses, {right.use}, column);
            if (!one || !other) {
                throw NoShape{};
            }
            right.on.emplace_back(*one, *other);
        }
        if (join.contains("quals")) {
            read_condition(join.at("quals"), &right);
        }
    }

    std::optional<UseColumn> column_of(const Json& node) const
    {
        return node.contains("ColumnRef") ? find_column(tables_, statement_.uses, scope_, node.at("ColumnRef"))
                                          : std::nullopt;
    }

    /// `join`: of its ON. Conditions with values are said when the projection is read, except in a LEFT JOIN's ON, where
    /// they decide what is joined.
    void read_condition(const Json& condition, JoinedTable* join)
    {
        if (condition.contains("BoolExpr") && condition.at("BoolExpr").at("boolop") == "AND_EXPR") {
            for (const Json& part : condition.at("BoolExpr").at("args")) {
                read_condition(part, join);
            }
            return;
        }
        if (contains_node(condition, "SubLink")) {
            throw NoShape{};
        }
        const bool comparison = condition.contains("A_Expr") && condition.at("A_Expr").at("kind") == "AEXPR_OP" &&
                                condition.at("A_Expr").contains("lexpr") &&
                                condition.at("A_Expr").at("name").back().at("String").at("sval") == "=";
        if (comparison) {
            const auto left = column_of(condition.at("A_Expr").at("lexpr"));
            const auto right = column_of(condition.at("A_Expr").at("rexpr"));
            if (left && right) {
                (join == nullptr ? shape_.where : join->on).emplace_back(*left, *right);
                return;
            }
        }
        const bool value = comparison && (value_of(condition.at("A_Expr").at("lexpr")) ||
                                          value_of(condition.at("A_Expr").at("rexpr")));
        shape_.equalities_alone = shape_.equalities_alone && value;
        if (join != nullptr && join->left) {
            throw NoShape{};
        }
    }

    void read_outputs(const Json& select)
    {
        bool aggregated = select.contains("groupClause");
        for (const Json& target : select.at("targetList")) {
            const Json& value = target.at("ResTarget").at("val");
            if (contains_node(value, "SubLink")) {
                throw NoShape{};
            }
            OutputColumn output;
            output.column = column_of(value);
            if (value.contains("FuncCall")) {
                aggregates_alone_ = read_aggregate(value.at("FuncCall"), output) && aggregates_alone_;
                aggregated = aggregated || !output.aggregate.empty();
            } else if (!output.column) {
                aggregates_alone_ = false;
            }
            shape_.outputs.push_back(std::move(output));
        }
        if (contains_node(select.value("havingClause", Json()), "SubLink")) {
            throw NoShape{};
        }
        shape_.grouped = aggregated;
        if (!aggregates_alone_ || select.contains("havingClause")) {
            shape_.outputs.clear();
        }
    }

    bool read_aggregate(const Json& call, OutputColumn& output) const
    {
        const std::string name = call.at("funcname").back().at("String").at("sval");
        const Json arguments = call.value("args", Json::array());
        if (std::find(kAggregates.begin(), kAggregates.end(), name) == kAggregates.end() || arguments.size() > 1 ||
            call.contains("agg_filter") || call.contains("agg_order") || call.value("agg_distinct", false) ||
            call.contains("over")) {
            return false;
        }
        output.aggregate = name;
        output.column = arguments.empty() ? std::nullopt : column_of(arguments.front());
        return arguments.empty() ? call.value("agg_star", false) : output.column.has_value();
    }

    const Statement& statement_;
    const Tables& tables_;
    std::size_t next_;
    NameScope scope_;
    SelectShape shape_;
    bool aggregates_alone_ = true;
};

void read_branches(const Json& select, const Statement& statement, const Tables& tables, std::size_t& next,
                   std::vector<SelectShape>& shapes)
{
    if (select.value("op", "SETOP_NONE") == "SETOP_NONE") {
        ShapeReader reader(statement, tables, next);
        shapes.push_back(reader.read(select));
        next = reader.next();
        return;
    }
    if (select.at("op") != "SETOP_UNION" || !select.value("all", false) || select.contains("withClause")) {
        throw NoShape{};
    }
    read_branches(select.at("larg"), statement, tables, next, shapes);
    read_branches(select.at("rarg"), statement, tables, next, shapes);
}

} // namespace

std::vector<SelectShape> read_shapes(const Json& select, const Statement& statement, const Tables& tables)
{
    std::vector<SelectShape> shapes;
    std::size_t next = 0;
    try {
        read_branches(select, statement, tables, next, shapes);
    } catch (const NoShape&) {
        return {};
    }
    return next == statement.uses.size() ? shapes : std::vector<SelectShape>{};
}

} // namespace keyshift::advisor
