#include "advisor/definition_sketch.hpp"

#include "advisor/join_columns.hpp"
#include "advisor/key_choice.hpp"
#include "advisor/sql_name.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace keyshift::advisor {

namespace {

bool is_placed(const Placements& placements, const TableUse& use, Placement::Kind kind)
{
    return placements.at(use.table).kind == kind;
}

class Sketcher {
public:
    Sketcher(const DatabaseStatistics& database, const Asked& asked, const Placements& placements)
        : database_(database), asked_(asked), statement_(asked.statement), placements_(placements)
    {
        for (std::size_t use = 0; use < statement_.uses.size(); ++use) {
            if (is_placed(placements, statement_.uses[use], Placement::Kind::distributed)) {
                distributed_.push_back(use);
            }
        }
    }

    DefinitionSketch make()
    {
        for (const TableUse& use : statement_.uses) {
            if (is_placed(placements_, use, Placement::Kind::local)) {
                throw NoDefinition{fmt::format("put it together in the application, or read {} from its node first",
                                               use.table.to_string())};
            }
        }
        if (distributed_.size() == 1) {
            return of_one_table(distributed_.front());
        }
        if (statement_.kind != Statement::Kind::select) {
            throw NoDefinition{"write each table by its own key, in statements of their own"};
        }
        if (statement_.shapes.empty()) {
            throw NoDefinition{
                "its sub-selects, WITH or joins are none of a projection: split it into SELECTs that each name a key"};
        }
        return statement_.shapes.size() > 1 ? of_a_union() : of_a_join(statement_.shapes.front());
    }

private:
    const TableStatistics& table(std::size_t use) const { return database_.tables.at(statement_.uses[use].table); }

    /// The column, among those the statement gives a value, that spreads best. `among`: its table may be one of these.
    UseColumn choose_key(const std::vector<std::size_t>& among) const
    {
        std::optional<UseColumn> best;
        std::tuple<bool, double, std::int64_t> most;
        std::string why;
        for (const auto& [column, values] : asked_.bindings) {
            if (std::find(among.begin(), among.end(), column.use) == among.end()) {
                continue;
            }
            const TableStatistics& of = table(column.use);
            const ColumnStatistics& statistics = *of.column(column.column);
            // Rows without a key are left out: `= value` shows none of them.
            ColumnStatistics with_value = statistics;
            with_value.null_share = 0;
            if (const std::string unfit = unfit_as_key(of, with_value); !unfit.empty()) {
                why += fmt::format("{}{}: {}", why.empty() ? "" : "; ", column.column, unfit);
                continue;
            }
            const bool single = std::any_of(values.begin(), values.end(), [](const auto& one) { return !one.second; });
            const std::tuple<bool, double, std::int64_t> here{
                single, statistics.distinct.value_or(static_cast<double>(of.rows)), of.rows};
            if (!best || here > most) {
                best = column;
                most = here;
            }
        }
        if (!best) {
            throw NoDefinition{
                why.empty()
                    ? "no column is certain to have one value in it, so it reads all rows whatever the key: ask each node and add the "
                      "answers up, or keep such reports on what reads the topics"
                    : "no column that it gives a value can be a key (" + why + ")"};
        }
        return *best;
    }

    void note_nullable(const UseColumn& column, DefinitionSketch& made) const
    {
        const ColumnStatistics* statistics = table(column.use).column(column.column);
        if (is_kept(column) && !statistics->not_null) {
            made.nullable.insert(statement_.uses[column.use].table.to_string() + "." + column.column);
        }
    }

    DefinitionSketch of_one_table(std::size_t use) const
    {
        DefinitionSketch made;
        made.key = choose_key({use});
        note_nullable(made.key, made);
        made.bases = {statement_.uses[use].table};
        made.tables = "FROM " + sql_name(statement_.uses[use].table);
        made.aliases[use] = "";
        if (statement_.kind == Statement::Kind::select && add_totals(use, made)) {
            made.kind = DefinitionSketch::Kind::totals;
            return made;
        }
        made.columns.insert(made.key);
        for (const std::string& column : table(use).primary_key) {
            made.columns.insert({use, column});
        }
        // What a write of the row has to say.
        made.columns.insert({use, placements_.at(statement_.uses[use].table).key});
        if (statement_.kind == Statement::Kind::select) {
            add_used(use, made);
        }
        return made;
    }

    void add_used(std::size_t use, DefinitionSketch& made) const
    {
        for (const UseColumn& column : statement_.columns) {
            if (column.use == use) {
                made.columns.insert(column);
            }
        }
        if (statement_.whole_rows.contains(use)) {
            for (const ColumnStatistics& column : table(use).columns) {
                made.columns.insert({use, column.name});
            }
        }
    }

    /// A SELECT of aggregates by columns: its groups are kept as totals. False: it is none.
    bool add_totals(std::size_t use, DefinitionSketch& made) const
    {
        if (statement_.shapes.size() != 1 || statement_.uses.size() != 1) {
            return false;
        }
        const SelectShape& shape = statement_.shapes.front();
        if (!shape.grouped || shape.outputs.empty() || !shape.equalities_alone || !shape.where.empty()) {
            return false;
        }
        std::set<UseColumn> groups(shape.groups.begin(), shape.groups.end());
        for (const auto& [column, values] : asked_.bindings) {
            groups.insert(column);
        }
        std::map<std::string, std::string> totals;
        for (const OutputColumn& output : shape.outputs) {
            if (output.aggregate.empty()) {
                if (!groups.contains(*output.column)) {
                    return false;
                }
                continue;
            }
            if (!can_be_total(use, output)) {
                return false;
            }
            if (output.column) {
                made.arguments.insert(*output.column);
            }
            const std::string name = output.column ? output.aggregate + "_" + output.column->column : output.aggregate;
            totals[name] =
                output.aggregate + "(" + (output.column ? sql_name(output.column->column) : std::string("*")) + ")";
        }
        made.columns = groups;
        made.totals = totals;
        return !totals.empty() && std::none_of(groups.begin(), groups.end(),
                                               [&](const UseColumn& column) { return totals.contains(column.column); });
    }

    /// Sums of floating point numbers depend on their order, so no totals of them are exact.
    bool can_be_total(std::size_t use, const OutputColumn& output) const
    {
        if (output.aggregate != "sum" && output.aggregate != "avg") {
            return true;
        }
        const std::string& type = table(use).column(output.column->column)->type;
        return type == "smallint" || type == "integer" || type == "bigint" || type == "numeric";
    }

    /// Joined tables without the reference tables, which every node has beside the projection.
    std::vector<JoinedTable> joined(const SelectShape& shape) const
    {
        std::vector<JoinedTable> kept;
        for (const JoinedTable& join : shape.joins) {
            if (std::find(distributed_.begin(), distributed_.end(), join.use) != distributed_.end()) {
                kept.push_back(join);
            }
        }
        const bool reference_first = kept.empty() || kept.front().use != shape.joins.front().use;
        if (reference_first || std::any_of(kept.begin(), kept.end(), [&](const JoinedTable& join) {
                return std::any_of(join.on.begin(), join.on.end(),
                                   [&](const auto& pair) { return !is_kept(pair.first) || !is_kept(pair.second); });
            })) {
            throw NoDefinition{"a reference table stands between its tables: begin its FROM with the others"};
        }
        return kept;
    }

    bool is_kept(const UseColumn& column) const
    {
        return std::find(distributed_.begin(), distributed_.end(), column.use) != distributed_.end();
    }

    std::string column_text(const UseColumn& column) const
    {
        return sql_name(statement_.uses[column.use].alias) + "." + sql_name(column.column);
    }

    DefinitionSketch of_a_join(const SelectShape& shape) const
    {
        DefinitionSketch made;
        made.kind = DefinitionSketch::Kind::join;
        const std::vector<JoinedTable> joins = joined(shape);
        std::vector<std::size_t> always;
        std::string from;
        for (const JoinedTable& join : joins) {
            const TableUse& use = statement_.uses[join.use];
            if (!join.left) {
                always.push_back(join.use);
            }
            made.bases.push_back(use.table);
            made.aliases[join.use] = use.alias;
            const std::string text =
                sql_name(use.table) + (use.alias == use.table.name ? "" : " " + sql_name(use.alias));
            from += from.empty() ? "FROM " + text
                                 : (join.left         ? " LEFT JOIN "
                                    : join.on.empty() ? ", "
                                                      : " JOIN ") +
                                       text;
            for (std::size_t at = 0; at < join.on.size(); ++at) {
                from += (at == 0 ? " ON " : " AND ") + column_text(join.on[at].first) + " = " +
                        column_text(join.on[at].second);
            }
            if (join.left && join.on.empty()) {
                throw NoDefinition{"a LEFT JOIN of it joins by no equal columns"};
            }
        }
        std::string where;
        for (const auto& [left, right] : shape.where) {
            if (is_kept(left) && is_kept(right)) {
                where += (where.empty() ? " WHERE " : " AND ") + column_text(left) + " = " + column_text(right);
            }
        }
        made.tables = from + where;
        made.key = choose_key(always);
        made.columns.insert(made.key);
        std::set<std::size_t> keyed;
        for (const UseColumn& column : equal_to_key(made.key, joins, shape.where)) {
            keyed.insert(column.use);
            note_nullable(column, made);
        }
        for (const std::size_t use : distributed_) {
            add_used(use, made);
            if (!keyed.contains(use)) {
                made.whole.insert(statement_.uses[use].table);
            }
        }
        leave_twins_out(joins, made.key, made.columns);
        return made;
    }

    /// The key's place among the outputs of the first SELECT is the same in all, or it stands before them in all.
    DefinitionSketch of_a_union() const
    {
        DefinitionSketch made;
        made.kind = DefinitionSketch::Kind::united;
        const std::size_t width = statement_.shapes.front().outputs.size();
        for (const SelectShape& shape : statement_.shapes) {
            const bool plain = shape.joins.size() == 1 && !shape.grouped && !shape.outputs.empty() &&
                               shape.outputs.size() == width && is_kept({shape.joins.front().use, ""});
            if (!plain) {
                throw NoDefinition{
                    "its SELECTs are not all of plain columns of one sharded table: make each a projection of its own"};
            }
            add_branch(shape, made);
        }
        return made;
    }

    void add_branch(const SelectShape& shape, DefinitionSketch& made) const
    {
        const std::size_t use = shape.joins.front().use;
        const UseColumn key = choose_key({use});
        note_nullable(key, made);
        std::string list = sql_name(key.column);
        bool first = made.tables.empty();
        const UseColumn named = first ? key : made.key;
        if (!first && key.column != named.column) {
            list += " AS " + sql_name(named.column);
        }
        for (const OutputColumn& output : shape.outputs) {
            if (*output.column != key) {
                list += ", " + sql_name(output.column->column);
            }
        }
        for (const UseColumn& column : statement_.columns) {
            const bool shown =
                column == key || std::any_of(shape.outputs.begin(), shape.outputs.end(),
                                             [&](const OutputColumn& output) { return output.column == column; });
            if (column.use == use && !shown) {
                throw NoDefinition{
                    fmt::format("show {}, by which it chooses rows, in each of its SELECTs", column.column)};
            }
        }
        made.key = named;
        made.bases.push_back(statement_.uses[use].table);
        made.tables +=
            (first ? "SELECT " : " UNION ALL SELECT ") + list + " FROM " + sql_name(statement_.uses[use].table);
    }

    const DatabaseStatistics& database_;
    const Asked& asked_;
    const Statement& statement_;
    const Placements& placements_;
    std::vector<std::size_t> distributed_;
};

/// Uses by their place among the tables of the definition, so that statements with more tables beside them can share it.
void renumber(DefinitionSketch& made)
{
    std::map<std::size_t, std::size_t> places;
    std::map<std::size_t, std::string> aliases;
    for (const auto& [use, alias] : made.aliases) {
        aliases[places.size()] = alias;
        places.emplace(use, places.size());
    }
    const auto moved = [&](const std::set<UseColumn>& columns) {
        std::set<UseColumn> all;
        for (const UseColumn& column : columns) {
            all.insert({places.at(column.use), column.column});
        }
        return all;
    };
    if (made.kind != DefinitionSketch::Kind::united) {
        made.aliases = aliases;
        made.columns = moved(made.columns);
        made.arguments = moved(made.arguments);
        made.key.use = places.at(made.key.use);
    }
}

} // namespace

std::variant<DefinitionSketch, NoDefinition> sketch(const DatabaseStatistics& database, const Asked& asked,
                                                    const Placements& placements)
{
    try {
        DefinitionSketch made = Sketcher(database, asked, placements).make();
        renumber(made);
        return made;
    } catch (const NoDefinition& none) {
        return none;
    }
}

} // namespace keyshift::advisor
