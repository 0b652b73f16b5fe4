#include "projections/composite_select.hpp"

#include "core/json.hpp"
#include "core/names.hpp"
#include "projections/forbidden.hpp"
#include "projections/select_tree.hpp"
#include "projections/sql_text.hpp"

#include <algorithm>
#include <cctype>
#include <set>

namespace keyshift::projections {

using Json = nlohmann::json;

namespace {

bool is_union(const Json& select)
{
    return select.value("op", "SETOP_NONE") != "SETOP_NONE";
}

/// The tables of FROM, in one order for a statement and for its canonical text.
void collect_tables(const Json& node, std::vector<const Json*>& tables)
{
    if (node.contains("RangeVar")) {
        tables.push_back(&node.at("RangeVar"));
    } else if (node.contains("JoinExpr")) {
        collect_tables(node.at("JoinExpr").at("larg"), tables);
        collect_tables(node.at("JoinExpr").at("rarg"), tables);
    }
}

void collect_all_tables(const Json& select, std::vector<const Json*>& tables)
{
    if (is_union(select)) {
        collect_all_tables(select.at("larg"), tables);
        collect_all_tables(select.at("rarg"), tables);
        return;
    }
    for (const Json& item : select.at("fromClause")) {
        collect_tables(item, tables);
    }
}

class CompositeReader {
public:
    explicit CompositeReader(const std::string& sql) : sql_(sql), tree_(parse_select_tree(sql)) {}

    CompositeSelect read()
    {
        parsed_.sql = sql_;
        read_select(tree_);
        parsed_.text = canonical(sql_);
        const Json written = parse_select_tree(parsed_.text);
        const std::vector<Json> tables = tables_of(written);
        for (std::size_t at = 0; at < tables.size(); ++at) {
            parsed_.uses[at].text_place = location_of(tables[at]);
            parsed_.uses[at].named = tables[at].contains("alias");
        }
        return std::move(parsed_);
    }

private:
    static std::vector<Json> tables_of(const Json& select)
    {
        std::vector<const Json*> found;
        collect_all_tables(select, found);
        std::vector<Json> tables;
        for (const Json* table : found) {
            tables.push_back(*table);
        }
        return tables;
    }

    void read_select(const Json& select)
    {
        refuse_unkept_clauses(sql_, select);
        if (!is_union(select)) {
            read_branch(select);
            return;
        }
        if (select.at("op") != "SETOP_UNION" || !select.value("all", false)) {
            refuse_at(sql_, first_location(select.at("rarg").value("targetList", Json())),
                      "UNION, INTERSECT and EXCEPT compare rows with rows on other nodes",
                      "Say UNION ALL, and let each SELECT take other rows.");
        }
        read_select(select.at("larg"));
        read_select(select.at("rarg"));
    }

    void read_branch(const Json& select)
    {
        if (!select.contains("fromClause") || !select.contains("targetList")) {
            refuse_at(sql_, 0, "one of its SELECTs reads no table", "Write it as SELECT column, ... FROM table ....");
        }
        Branch& branch = parsed_.branches.emplace_back();
        branch_ = parsed_.branches.size() - 1;
        branch.first = parsed_.uses.size();
        for (const Json& item : select.at("fromClause")) {
            read_from(item, false);
        }
        parsed_.branches[branch_].last = parsed_.uses.size();
        refuse_same_names();
        for (const Json& target : select.at("targetList")) {
            read_target(target.at("ResTarget"));
        }
        if (select.contains("whereClause")) {
            read_conjuncts(select.at("whereClause"), parsed_.branches[branch_].first, parsed_.uses.size());
        }
        for (const char* part : {"whereClause", "havingClause", "groupClause", "fromClause"}) {
            if (select.contains(part)) {
                check(select.at(part));
            }
        }
    }

    void refuse_same_names() const
    {
        std::set<std::string> names;
        for (std::size_t at = parsed_.branches[branch_].first; at < parsed_.uses.size(); ++at) {
            if (!names.insert(parsed_.uses[at].alias).second) {
                refuse_at(sql_, parsed_.uses[at].place, "two tables are called " + parsed_.uses[at].alias,
                          "Give one another name: " + parsed_.uses[at].table + " AS other.");
            }
        }
    }

    void read_from(const Json& item, bool nullable)
    {
        if (item.contains("RangeVar")) {
            read_table(item.at("RangeVar"), nullable);
        } else if (item.contains("JoinExpr")) {
            read_join(item.at("JoinExpr"), nullable);
        } else {
            refuse_at(sql_, first_location(item), "sub-selects and functions in FROM are not supported",
                      "Join captured tables; a projection can be made for what the sub-select gives.");
        }
    }

    void read_table(const Json& table, bool nullable)
    {
        if (!table.value("inh", false)) {
            refuse_at(sql_, location_of(table), "ONLY leaves the partitions out, and they hold the rows",
                      "Leave ONLY out.");
        }
        const std::string name = table.at("relname");
        if (table.contains("alias") && table.at("alias").contains("colnames")) {
            refuse_at(sql_, location_of(table), "its columns get other names here",
                      "Rename them in the list, with AS.");
        }
        parsed_.uses.push_back({table.value("schemaname", ""), name,
                                table.contains("alias") ? table.at("alias").at("aliasname").get<std::string>() : name,
                                location_of(table), nullable});
    }

    void read_join(const Json& join, bool nullable)
    {
        const std::string kind = join.value("jointype", "JOIN_INNER");
        const std::size_t place = first_location(join.at("rarg"));
        if (kind != "JOIN_INNER" && kind != "JOIN_LEFT") {
            refuse_at(sql_, place, "RIGHT and FULL joins show rows of this table that have no key of the projection",
                      "Turn it around: the table with the key first, then LEFT JOIN.");
        }
        if (join.value("isNatural", false) || join.contains("alias")) {
            refuse_at(sql_, place, "which columns NATURAL and a join's own name mean changes with the tables",
                      "Say ON or USING.");
        }
        const bool left = kind == "JOIN_LEFT";
        const std::size_t first = parsed_.uses.size();
        read_from(join.at("larg"), nullable);
        const std::size_t middle = parsed_.uses.size();
        read_from(join.at("rarg"), nullable || left);
        // Rows of the left side of a LEFT JOIN are shown also where the condition does not hold.
        const std::size_t gaining = left ? middle : first;
        for (const Json& name : join.value("usingClause", Json::array())) {
            const std::string column = name.at("String").at("sval");
            for (std::size_t right = middle; right < parsed_.uses.size(); ++right) {
                for (std::size_t other = first; other < middle; ++other) {
                    add_equality({parsed_.uses[other].alias, column, place}, {parsed_.uses[right].alias, column, place},
                                 gaining, parsed_.uses.size());
                }
            }
        }
        if (join.contains("quals")) {
            read_conjuncts(join.at("quals"), gaining, parsed_.uses.size());
        }
    }

    void add_equality(ColumnReference left, ColumnReference right, std::size_t first, std::size_t last)
    {
        Branch& branch = parsed_.branches[branch_];
        branch.references.insert(branch.references.end(), {left, right});
        branch.equalities.push_back({std::move(left), std::move(right), first, last});
    }

    void read_conjuncts(const Json& node, std::size_t first, std::size_t last)
    {
        if (node.contains("BoolExpr") && node.at("BoolExpr").at("boolop") == "AND_EXPR") {
            for (const Json& part : node.at("BoolExpr").at("args")) {
                read_conjuncts(part, first, last);
            }
            return;
        }
        if (!node.contains("A_Expr")) {
            return;
        }
        const Json& comparison = node.at("A_Expr");
        if (comparison.value("kind", "") == "AEXPR_OP" && comparison.at("name").size() == 1 &&
            comparison.at("name").front().at("String").at("sval") == "=" && comparison.contains("lexpr") &&
            comparison.at("lexpr").contains("ColumnRef") && comparison.at("rexpr").contains("ColumnRef")) {
            add_equality(reference(comparison.at("lexpr").at("ColumnRef")),
                         reference(comparison.at("rexpr").at("ColumnRef")), first, last);
        }
    }

    ColumnReference reference(const Json& column)
    {
        const Json& fields = column.at("fields");
        if (fields.back().contains("A_Star")) {
            refuse_node(sql_, "A_Star", location_of(column));
        }
        if (fields.size() > 2) {
            refuse_at(sql_, location_of(column), "a column is called by its table alone here",
                      "Leave the schema out, or give the table a name with AS.");
        }
        ColumnReference found{"", fields.back().at("String").at("sval"), location_of(column)};
        if (fields.size() == 2) {
            found.table = fields.front().at("String").at("sval");
            const auto called = [&](const TableUse& use) {
                return use.alias == found.table;
            };
            const auto begin = parsed_.uses.begin() + static_cast<std::ptrdiff_t>(parsed_.branches[branch_].first);
            if (std::none_of(begin, parsed_.uses.end(), called)) {
                refuse_at(sql_, location_of(column), "the SELECT has no table called " + found.table,
                          "Call it as FROM does.");
            }
        }
        parsed_.branches[branch_].references.push_back(found);
        return found;
    }

    void read_target(const Json& target)
    {
        OutputColumn column;
        const Json& value = target.at("val");
        check(value);
        if (value.contains("ColumnRef")) {
            column.source = reference(value.at("ColumnRef"));
            column.name = column.source.column;
        }
        column.name = target.value("name", column.name);
        const bool first_branch = branch_ == 0;
        if (column.name.empty() && first_branch) {
            refuse_at(sql_, location_of(target), "the expression has no name", "Name it with AS.");
        }
        if (column.name.starts_with('_') && first_branch) {
            refuse_at(sql_, location_of(target), "names that begin with _ are the projection's own",
                      "Rename it with AS.");
        }
        auto& columns = parsed_.branches[branch_].columns;
        if (first_branch && std::any_of(columns.begin(), columns.end(),
                                        [&](const OutputColumn& other) { return other.name == column.name; })) {
            refuse_at(sql_, location_of(target), "two columns are called " + column.name, "Rename one with AS.");
        }
        columns.push_back(std::move(column));
    }

    /// All of an expression: what no projection can have, the functions that it calls, and what they add up.
    void check(const Json& node)
    {
        if (node.is_object()) {
            for (const auto& [name, inner] : node.items()) {
                refuse_node(sql_, name, std::max(first_location(inner), first_location(node)));
                if (name == "GroupingSet") {
                    refuse_at(sql_, first_location(inner), "GROUPING SETS, ROLLUP and CUBE make several rows of each",
                              "Make one projection for each grouping.");
                } else if (name == "FuncCall") {
                    check_call(inner);
                } else if (name == "ColumnRef") {
                    static_cast<void>(reference(inner));
                    continue;
                }
                check(inner);
            }
        } else if (node.is_array()) {
            for (const Json& inner : node) {
                check(inner);
            }
        }
    }

    void check_call(const Json& call)
    {
        static const std::set<std::string> kSums{"sum",         "avg",      "stddev",  "stddev_pop",
                                                 "stddev_samp", "variance", "var_pop", "var_samp"};
        static const std::set<std::string> kOrdered{"array_agg", "string_agg",      "json_agg",
                                                    "jsonb_agg", "json_object_agg", "jsonb_object_agg"};
        const std::string name = call.at("funcname").back().at("String").at("sval");
        if (call.contains("over")) {
            refuse_node(sql_, "WindowFunc", location_of(call));
        }
        if (name == "any_value") {
            refuse_at(sql_, location_of(call), "any_value takes any row's value, so it is not determined",
                      "Take min or max.");
        }
        if (kOrdered.contains(name) && !call.contains("agg_order")) {
            refuse_at(sql_, location_of(call),
                      name +
                          " does not say in which order it takes the rows, so the same rows could give another value",
                      "Say it inside of the brackets: ORDER BY ...");
        }
        if (kSums.contains(name)) {
            for (const Json& argument : call.value("args", Json::array())) {
                if (argument.contains("ColumnRef")) {
                    parsed_.sums.push_back({name, reference(argument.at("ColumnRef"))});
                }
            }
        }
        parsed_.functions.emplace_back(name, location_of(call));
    }

    const std::string& sql_;
    Json tree_;
    CompositeSelect parsed_;
    std::size_t branch_ = 0;
};

/// Behind the identifier, quoted or plain, that begins at `at`.
std::size_t behind_identifier(std::string_view text, std::size_t at)
{
    if (at < text.size() && text[at] == '"') {
        for (++at; at < text.size(); ++at) {
            if (text[at] == '"' && (at + 1 == text.size() || text[at + 1] != '"')) {
                return at + 1;
            }
            at += text[at] == '"' ? 1 : 0;
        }
        return at;
    }
    while (at < text.size() && (std::isalnum(static_cast<unsigned char>(text[at])) != 0 || text[at] == '_' ||
                                text[at] == '$' || static_cast<unsigned char>(text[at]) >= 0x80)) {
        ++at;
    }
    return at;
}

} // namespace

bool is_composite(const std::string& sql)
{
    const Json select = parse_select_tree(sql);
    if (is_union(select)) {
        return true;
    }
    const Json from = select.value("fromClause", Json::array());
    return from.size() > 1 || (from.size() == 1 && from.front().contains("JoinExpr"));
}

CompositeSelect parse_composite(const std::string& sql)
{
    return CompositeReader(sql).read();
}

std::string with_tables(const CompositeSelect& select, const std::vector<std::string>& relations)
{
    std::string text = select.text;
    for (std::size_t at = select.uses.size(); at-- > 0;) {
        const std::size_t begin = select.uses[at].text_place;
        std::size_t end = behind_identifier(text, begin);
        if (end < text.size() && text[end] == '.') {
            end = behind_identifier(text, end + 1);
        }
        const TableUse& use = select.uses[at];
        text.replace(begin, end - begin, relations[at] + (use.named ? "" : " AS " + quote_identifier(use.alias)));
    }
    return text;
}

} // namespace keyshift::projections
