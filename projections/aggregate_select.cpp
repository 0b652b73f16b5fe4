#include "projections/aggregate_select.hpp"

#include "core/json.hpp"
#include "projections/select_tree.hpp"
#include "projections/sql_text.hpp"

#include <algorithm>
#include <functional>
#include <set>

namespace keyshift::projections {

namespace {

using Json = nlohmann::json;
using Visit = std::function<void(const Json&)>;

std::string function_name(const Json& call)
{
    return call.at("funcname").back().at("String").at("sval");
}

/// Every function call in the order of the tree, which is the same for a statement and for its canonical text. A call within
/// a call of an aggregate comes behind it.
void visit_calls(const Json& node, const Visit& visit)
{
    if (node.is_object() && node.contains("FuncCall")) {
        visit(node.at("FuncCall"));
    }
    if (node.is_object() || node.is_array()) {
        for (const Json& inner : node) {
            visit_calls(inner, visit);
        }
    }
}

std::vector<Json> aggregate_calls(const Json& part)
{
    std::vector<Json> calls;
    visit_calls(part, [&](const Json& call) {
        if (is_aggregate_call(call)) {
            calls.push_back(call);
        }
    });
    return calls;
}

/// What ORDER BY has beside its expressions.
std::string without_direction(std::string item)
{
    for (const std::string_view ending : {" NULLS FIRST", " NULLS LAST", " ASC", " DESC"}) {
        if (item.ends_with(ending)) {
            item.erase(item.size() - ending.size());
        }
    }
    return item;
}

void add_ordered(std::vector<std::string>& expressions, std::string_view list)
{
    for (std::string& item : split_list(list)) {
        expressions.push_back(without_direction(std::move(item)));
    }
}

/// `inner`: what stands between the brackets of the call.
void read_arguments(AggregateCall& call, std::string_view inner)
{
    constexpr std::string_view kDistinct = "DISTINCT ";
    constexpr std::string_view kOrderBy = " ORDER BY ";
    const bool distinct = inner.starts_with(kDistinct);
    inner.remove_prefix(distinct ? kDistinct.size() : 0);
    const std::size_t order = find_outside(inner, kOrderBy);
    if (order != std::string_view::npos) {
        add_ordered(call.expressions, inner.substr(order + kOrderBy.size()));
        inner = inner.substr(0, order);
    }
    const std::vector<std::string> arguments =
        inner == "*" || inner.empty() ? std::vector<std::string>{} : split_list(inner);
    call.expressions.insert(call.expressions.end(), arguments.begin(), arguments.end());
    call.ordered = order != std::string_view::npos;
    call.plain = !distinct && !call.ordered && arguments.size() <= 1;
    call.argument = call.plain && !arguments.empty() ? arguments.front() : "";
}

/// The call that begins at `begin` of the canonical text.
AggregateCall read_call(const std::string& text, std::size_t begin, const Json& tree)
{
    constexpr std::string_view kWithin = " WITHIN GROUP (ORDER BY ";
    constexpr std::string_view kFilter = " FILTER (WHERE ";
    AggregateCall call;
    call.name = function_name(tree);
    const std::size_t open = text.find('(', begin);
    std::size_t end = behind_bracket(text, open);
    read_arguments(call, std::string_view(text).substr(open + 1, end - open - 2));
    const auto clause = [&](std::string_view opening) -> std::string_view {
        if (!std::string_view(text).substr(end).starts_with(opening)) {
            return {};
        }
        const std::size_t inner = end + opening.size();
        end = behind_bracket(text, end + opening.find('('));
        return std::string_view(text).substr(inner, end - inner - 1);
    };
    if (const std::string_view order = clause(kWithin); !order.empty()) {
        call.plain = false;
        call.ordered = true;
        add_ordered(call.expressions, order);
    }
    call.filter = clause(kFilter);
    if (!call.filter.empty()) {
        call.expressions.push_back(call.filter);
    }
    call.text = text.substr(begin, end - begin);
    return call;
}

class AggregationReader {
public:
    AggregationReader(const std::string& sql, const std::string& text, const std::vector<std::string>& targets)
        : sql_(sql), text_(text), targets_(targets), original_(parse_select_tree(sql)), tree_(parse_select_tree(text))
    {
    }

    ParsedAggregation read()
    {
        if (!tree_.contains("groupClause")) {
            const std::vector<Json> calls = aggregate_calls(original_.at("targetList"));
            refuse_at(sql_, calls.empty() ? first_location(original_.at("havingClause")) : location_of(calls.front()),
                      "an aggregate over the whole table has no key that it could be read by",
                      "Add GROUP BY with the columns that it is read by.");
        }
        read_groups();
        const Json& list = tree_.at("targetList");
        for (std::size_t at = 0; at < list.size(); ++at) {
            const std::size_t begin = location_of(list.at(at).at("ResTarget"));
            parsed_.targets.push_back(expression(list.at(at), original_.at("targetList").at(at), begin, targets_[at]));
        }
        constexpr std::string_view kHaving = " HAVING ";
        if (tree_.contains("havingClause")) {
            const std::size_t begin = find_outside(text_, kHaving) + kHaving.size();
            parsed_.having =
                expression(tree_.at("havingClause"), original_.at("havingClause"), begin, text_.substr(begin));
        }
        note_functions();
        return std::move(parsed_);
    }

private:
    void read_groups()
    {
        constexpr std::string_view kGroupBy = " GROUP BY ";
        const std::size_t begin = find_outside(text_, kGroupBy) + kGroupBy.size();
        const std::size_t end = find_outside(text_, " HAVING ", begin);
        const std::vector<std::string> items = split_list(std::string_view(text_).substr(begin, end - begin));
        const Json& nodes = tree_.at("groupClause");
        for (std::size_t at = 0; at < nodes.size(); ++at) {
            const Json& original = original_.at("groupClause").at(at);
            if (nodes.at(at).contains("GroupingSet")) {
                refuse_at(sql_, first_location(original), "GROUPING SETS, ROLLUP and CUBE make several rows of each",
                          "Make one projection for each grouping.");
            }
            GroupItem item = group_item(nodes.at(at), items.at(at), first_location(original));
            const auto same = [&](const GroupItem& other) {
                return other.sql == item.sql;
            };
            if (std::none_of(parsed_.group.begin(), parsed_.group.end(), same)) {
                parsed_.group.push_back(std::move(item));
            }
        }
    }

    /// GROUP BY names a column, an expression, an output column by its place, or one by its name.
    GroupItem group_item(const Json& node, const std::string& text, std::size_t place) const
    {
        const Json& list = tree_.at("targetList");
        if (node.contains("A_Const")) {
            const std::size_t number =
                node.at("A_Const").contains("ival") ? node.at("A_Const").at("ival").value("ival", 0U) : 0;
            if (number == 0 || number > list.size()) {
                refuse_at(sql_, place, "GROUP BY names output column " + text + ", and there is none",
                          "Name a column, or the place of one.");
            }
            return target_item(number - 1, "", place);
        }
        for (std::size_t at = 0; at < list.size(); ++at) {
            if (node.contains("ColumnRef") && node.at("ColumnRef").at("fields").size() == 1 &&
                list.at(at).at("ResTarget").value("name", "") ==
                    node.at("ColumnRef").at("fields").front().at("String").at("sval")) {
                return target_item(at, list.at(at).at("ResTarget").at("name"), place);
            }
        }
        return {text, column_of(node), "", place};
    }

    GroupItem target_item(std::size_t at, std::string alias, std::size_t place) const
    {
        const Json& value = tree_.at("targetList").at(at).at("ResTarget").at("val");
        if (!aggregate_calls(value).empty()) {
            refuse_at(sql_, place, "an aggregate cannot be grouped by", "Group by columns of the table.");
        }
        return {targets_[at], column_of(value), std::move(alias), place};
    }

    static std::string column_of(const Json& node)
    {
        return node.contains("ColumnRef") ? node.at("ColumnRef").at("fields").back().at("String").at("sval") : "";
    }

    /// `text` begins at `begin` of the canonical statement; `original` is the same part in the user's own.
    GroupExpression expression(const Json& node, const Json& original, std::size_t begin, const std::string& text)
    {
        const auto grouped = [&](const GroupItem& item) {
            return item.sql == text;
        };
        if (std::any_of(parsed_.group.begin(), parsed_.group.end(), grouped)) {
            return {text};
        }
        check_columns(original);
        const std::vector<Json> places = aggregate_calls(original);
        std::vector<std::pair<std::size_t, AggregateCall>> found;
        const std::vector<Json> calls = aggregate_calls(node);
        for (std::size_t at = 0; at < calls.size(); ++at) {
            found.emplace_back(location_of(calls[at]), read_call(text_, location_of(calls[at]), calls[at]));
            found.back().second.place = location_of(places.at(at));
        }
        std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
        GroupExpression pieces;
        std::size_t written = begin;
        for (auto& [place, call] : found) {
            pieces.emplace_back(text_.substr(written, place - written));
            written = place + call.text.size();
            pieces.emplace_back(call_number(std::move(call)));
        }
        pieces.emplace_back(text.substr(written - begin));
        return pieces;
    }

    /// The same call is kept once.
    std::size_t call_number(AggregateCall call)
    {
        const auto known = std::find_if(parsed_.calls.begin(), parsed_.calls.end(),
                                        [&](const AggregateCall& other) { return other.text == call.text; });
        if (known != parsed_.calls.end()) {
            return static_cast<std::size_t>(known - parsed_.calls.begin());
        }
        parsed_.calls.push_back(std::move(call));
        return parsed_.calls.size() - 1;
    }

    /// Outside of aggregates there are only columns that are grouped by.
    void check_columns(const Json& node) const
    {
        if (node.is_object() && node.contains("FuncCall") && is_aggregate_call(node.at("FuncCall"))) {
            return;
        }
        if (node.is_object() && node.contains("ColumnRef")) {
            const std::string column = column_of(node);
            const auto grouped = [&](const GroupItem& item) {
                return item.base_column == column;
            };
            if (std::none_of(parsed_.group.begin(), parsed_.group.end(), grouped)) {
                refuse_at(
                    sql_, location_of(node.at("ColumnRef")),
                    "column " + column + " stands outside of aggregates and is not grouped by itself",
                    "Group by it, put it into an aggregate, or select exactly the expression that is grouped by.");
            }
            return;
        }
        if (node.is_object() || node.is_array()) {
            for (const Json& inner : node) {
                check_columns(inner);
            }
        }
    }

    void note_functions()
    {
        std::set<std::string> names;
        visit_calls(tree_, [&](const Json& call) {
            if (!is_aggregate_call(call)) {
                names.insert(function_name(call));
            }
        });
        parsed_.functions.assign(names.begin(), names.end());
    }

    const std::string& sql_;
    const std::string& text_;
    const std::vector<std::string>& targets_;
    Json original_;
    Json tree_;
    ParsedAggregation parsed_;
};

} // namespace

bool is_aggregate_call(const Json& call)
{
    static const std::set<std::string> kAggregates{
        "count",           "sum",        "avg",      "min",        "max",     "bool_and",    "bool_or",  "every",
        "array_agg",       "string_agg", "json_agg", "jsonb_agg",  "bit_and", "bit_or",      "bit_xor",  "any_value",
        "json_object_agg", "stddev",     "variance", "stddev_pop", "var_pop", "stddev_samp", "var_samp", "range_agg",
        "jsonb_object_agg"};
    return kAggregates.contains(function_name(call)) || call.value("agg_star", false) || call.contains("agg_order") ||
           call.contains("agg_filter") || call.value("agg_distinct", false) || call.value("agg_within_group", false);
}

bool is_aggregated(const Json& select)
{
    return select.contains("groupClause") || select.contains("havingClause") ||
           !aggregate_calls(select.at("targetList")).empty();
}

ParsedAggregation parse_aggregation(const std::string& sql, const std::string& text,
                                    const std::vector<std::string>& targets)
{
    return AggregationReader(sql, text, targets).read();
}

} // namespace keyshift::projections
