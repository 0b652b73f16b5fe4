#include "projections/commands/composite_plan.hpp"

#include "catalog/rows.hpp"
#include "catalog/table_definition.hpp"
#include "core/error.hpp"
#include "projections/commands/base_table.hpp"
#include "projections/commands/composite.hpp"
#include "projections/commands/composite_columns.hpp"
#include "projections/commands/creation.hpp"
#include "projections/commands/identity_alters.hpp"
#include "projections/projection_record.hpp"
#include "projections/sql_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

namespace keyshift::projections {

namespace {

[[noreturn]] void refuse(const std::string& name, const std::string& why, const std::string& next)
{
    throw RefusedError({"creating projection " + name, why, next});
}

bool contains(const std::vector<std::string>& names, const std::string& name)
{
    return std::find(names.begin(), names.end(), name) != names.end();
}

void add_once(std::vector<std::string>& names, const std::string& name)
{
    if (!contains(names, name)) {
        names.push_back(name);
    }
}

class Planner {
public:
    Planner(pg::Connection& catalog, const CreateRequest& request, const Beside& beside)
        : catalog_(catalog), request_(request), beside_(beside)
    {
        plan_.name = request.name;
        plan_.select = parse_composite(request.sql);
    }

    CompositePlan plan()
    {
        read_bases();
        plan_.view_schema = beside_.view_schema.empty() ? bases_.front().name.schema : beside_.view_schema;
        for (const Branch& branch : plan_.select.branches) {
            place_tables(branch);
        }
        collect_columns();
        define_members();
        check_values();
        find_alters();
        return std::move(plan_);
    }

private:
    [[noreturn]] void refuse_at(std::size_t place, const std::string& why, const std::string& next) const
    {
        refuse(request_.name, why + "\n" + with_caret(plan_.select.sql, place), next);
    }

    pg::Connection& node_of(const catalog::CapturedTable& table)
    {
        const std::vector<catalog::Node> nodes = nodes_of(catalog_, table);
        if (nodes.empty()) {
            refuse(request_.name, "no active node has table " + table.name.to_string(),
                   "`keyshift node list` shows the nodes.");
        }
        auto& open = connections_[nodes.front().name];
        if (!open) {
            open = std::make_unique<pg::Connection>(nodes.front().connection("projection create"));
        }
        return *open;
    }

    void read_bases()
    {
        for (const TableUse& use : plan_.select.uses) {
            ParsedSelect named;
            named.sql = plan_.select.sql;
            named.schema = use.schema;
            named.table = use.table;
            named.table_place = use.place;
            bases_.push_back(find_base(catalog_, named));
            tables_.push_back(catalog::read_table(node_of(bases_.back()), bases_.back().name));
            auto& columns = columns_.emplace_back();
            for (const catalog::ColumnDefinition& column : tables_.back().columns) {
                columns.insert(column.name);
            }
        }
    }

    /// The branch's columns that are the key.
    std::vector<BoundColumn> bind_key(const Branch& branch) const
    {
        std::vector<BoundColumn> key;
        for (const std::string& name : request_.key) {
            const auto& first = plan_.select.branches.front().columns;
            const auto shown = std::find_if(first.begin(), first.end(),
                                            [&](const OutputColumn& column) { return column.name == name; });
            if (shown == first.end()) {
                refuse(request_.name, "the key column " + name + " is not selected",
                       "Select it, or name a column of the SELECT.");
            }
            const auto at = static_cast<std::size_t>(shown - first.begin());
            const auto bound = at < branch.columns.size() && !branch.columns[at].source.column.empty()
                                   ? bind_column(plan_.select, branch, columns_, branch.columns[at].source)
                                   : std::nullopt;
            if (!bound) {
                refuse(request_.name, "the key column " + name + " is not a column of a table in each SELECT",
                       "Key the projection by a column; an expression can be the key of a SELECT of one table.");
            }
            if (plan_.select.uses[bound->use].nullable) {
                refuse_at(branch.columns[at].source.place,
                          "the key column " + name +
                              " is NULL where the LEFT JOIN finds no row, and then no node is its",
                          "Key it by a column of the table that LEFT JOIN begins with, or say JOIN.");
            }
            key.push_back(*bound);
        }
        return key;
    }

    std::vector<std::string> types_of(std::size_t use, const std::vector<std::string>& names) const
    {
        std::vector<std::string> types;
        for (const std::string& name : names) {
            types.push_back(tables_[use].column(name)->type);
        }
        return types;
    }

    bool may_be_null(std::size_t use, const std::vector<std::string>& names) const
    {
        return std::any_of(names.begin(), names.end(),
                           [&](const std::string& name) { return !tables_[use].column(name)->not_null; });
    }

    /// Fills keyed_ for the branch's uses: the columns by which the table is sharded like the projection, or none.
    void place_tables(const Branch& branch)
    {
        if (request_.key.empty()) {
            refuse(request_.name, "it has no key", "Name the columns it is sharded by: --key user_id.");
        }
        const std::vector<BoundColumn> key = bind_key(branch);
        auto keyed = keyed_columns(plan_.select, branch, columns_, key);
        if (key_types_.empty()) {
            for (const BoundColumn& column : key) {
                key_types_.push_back(tables_[column.use].column(column.column)->type);
            }
        }
        keyed_.resize(plan_.select.uses.size());
        bool any = false;
        for (std::size_t use = branch.first; use < branch.last; ++use) {
            const bool own = std::any_of(key.begin(), key.end(), [&](const BoundColumn& c) { return c.use == use; });
            const bool fits = !keyed[use].empty() && types_of(use, keyed[use]) == key_types_;
            if (own && !keyed[use].empty() && !fits) {
                refuse_at(plan_.select.uses[use].place, "its key has another type than the first SELECT's",
                          "Give both columns one type; nodes are found by it.");
            }
            if (fits && (own || !may_be_null(use, keyed[use]))) {
                keyed_[use] = keyed[use];
                any = any || own;
            }
        }
        if (!any) {
            refuse(request_.name, "its key comes from several tables, and none of them has all of it",
                   "Key it by columns of one table, or of tables that are joined by them.");
        }
    }

    std::vector<std::string> primary_key(std::size_t use) const
    {
        const catalog::ConstraintDefinition* primary = tables_[use].primary_key();
        if (primary == nullptr) {
            refuse_at(plan_.select.uses[use].place,
                      "table " + bases_[use].name.to_string() + " has no primary key, so its rows cannot be told apart",
                      "ALTER TABLE " + bases_[use].name.quoted() + " ADD PRIMARY KEY (...)");
        }
        return primary->columns;
    }

    /// Uses of one table with one placement are one member.
    void collect_columns()
    {
        for (std::size_t use = 0; use < plan_.select.uses.size(); ++use) {
            const auto same = [&](const Wanted& other) {
                return bases_[other.use].id == bases_[use].id && other.keyed == keyed_[use];
            };
            const auto found = std::find_if(wanted_.begin(), wanted_.end(), same);
            plan_.member_of_use.push_back(static_cast<std::size_t>(found - wanted_.begin()));
            if (found == wanted_.end()) {
                wanted_.push_back({use, keyed_[use], keyed_[use].empty() ? primary_key(use) : keyed_[use], {}});
            }
        }
        for (const Branch& branch : plan_.select.branches) {
            for (const ColumnReference& reference : branch.references) {
                note(branch, reference);
            }
            for (std::size_t use = branch.first; use < branch.last; ++use) {
                note_lookups(branch, use);
            }
        }
    }

    void note(const Branch& branch, const ColumnReference& reference)
    {
        if (const auto bound = bind_column(plan_.select, branch, columns_, reference)) {
            add_once(wanted_[plan_.member_of_use[bound->use]].columns, bound->column);
            return;
        }
        const auto& shown = branch.columns;
        const bool output = reference.table.empty() && std::any_of(shown.begin(), shown.end(), [&](const auto& column) {
                                return column.name == reference.column;
                            });
        if (!output) {
            std::vector<std::string> names;
            for (std::size_t use = branch.first; use < branch.last; ++use) {
                names.insert(names.end(), columns_[use].begin(), columns_[use].end());
            }
            refuse_at(reference.place, "no table of the SELECT has a column " + reference.column,
                      did_you_mean(reference.column, names) + "`keyshift table show TABLE` lists a table's columns.");
        }
    }

    /// Rows of a table that is whole on every node are found by what it is joined by.
    void note_lookups(const Branch& branch, std::size_t use)
    {
        Wanted& wanted = wanted_[plan_.member_of_use[use]];
        const std::vector<std::string> joined = joined_by(plan_.select, branch, columns_, use);
        const std::vector<std::string> primary = primary_key(use);
        const bool by_primary = std::all_of(primary.begin(), primary.end(),
                                            [&](const std::string& column) { return contains(joined, column); });
        for (const std::string& column : joined) {
            if (wanted.keyed.empty() && !by_primary && column != primary.front() &&
                std::find(wanted.lookups.begin(), wanted.lookups.end(), std::vector{column}) == wanted.lookups.end()) {
                wanted.lookups.push_back({column});
            }
        }
    }

    void define_members()
    {
        bool routed = false;
        for (std::size_t at = 0; at < wanted_.size(); ++at) {
            Wanted& wanted = wanted_[at];
            const catalog::CapturedTable& base = bases_[wanted.use];
            CreateRequest request = request_;
            request.name = member_name(request_.name, beside_.members + at + 1);
            request.key = wanted.key;
            Member member{
                define_member(node_of(base), request, rows_of(wanted), base, wanted.keyed.empty()), base, {}, {}};
            Definition& definition = member.definition;
            definition.group = request_.name;
            definition.part_of = request_.name;
            definition.view_schema = "keyshift";
            definition.routed_as_schema = definition.everywhere || routed ? "" : plan_.view_schema;
            definition.lookups = wanted.lookups;
            routed = routed || !definition.everywhere;
            refuse_what_events_hide(definition, base.options);
            plan_.members.push_back(std::move(member));
        }
    }

    struct Wanted {
        std::size_t use; ///< the first one
        std::vector<std::string> keyed;
        std::vector<std::string> key;
        std::vector<std::string> columns;
        std::vector<std::vector<std::string>> lookups{};
    };

    /// SELECT of the columns that are needed of one table.
    ParsedSelect rows_of(const Wanted& wanted) const
    {
        const TableUse& use = plan_.select.uses[wanted.use];
        ParsedSelect rows;
        rows.sql = plan_.select.sql;
        rows.table = use.table;
        rows.alias = use.alias;
        rows.table_place = use.place;
        rows.used_columns = wanted.columns;
        for (const std::string& column : wanted.key) {
            add_once(rows.used_columns, column);
        }
        for (const std::string& column : rows.used_columns) {
            if (column.starts_with('_')) {
                refuse_at(use.place,
                          "names that begin with _ are the projection's own, and column " + column + " has one",
                          "Rename the column of the table.");
            }
            rows.columns.push_back({column, column});
            rows.expressions.push_back(quote_identifier(use.alias) + "." + quote_identifier(column));
        }
        rows.select_list = fmt::format("{}", fmt::join(rows.expressions, ", "));
        rows.shown_columns = rows.used_columns;
        return rows;
    }

    void check_values()
    {
        for (const SummedColumn& sum : plan_.select.sums) {
            for (const Branch& branch : plan_.select.branches) {
                const auto bound = bind_column(plan_.select, branch, columns_, sum.column);
                const std::string type = bound ? tables_[bound->use].column(bound->column)->type : "";
                if (type == "real" || type == "double precision") {
                    refuse_at(sum.column.place,
                              "a sum of floating point numbers depends on the order they are added in",
                              "Add exact numbers: " + sum.function + "((" + sum.column.column + ")::numeric)");
                }
            }
        }
        plan_.columns = columns_of_composite(node_of(bases_.front()), plan_);
    }

    /// Members of one table need their keys in one replica identity.
    void find_alters()
    {
        for (std::size_t at = 0; at < plan_.members.size(); ++at) {
            Member& member = plan_.members[at];
            for (const Definition& other : siblings(catalog_, member.definition)) {
                const std::vector<std::string> key = key_sources(other);
                member.other_keys.insert(member.other_keys.end(), key.begin(), key.end());
            }
            for (std::size_t earlier = 0; earlier < at; ++earlier) {
                const Member& other = plan_.members[earlier];
                if (other.base.id == member.base.id) {
                    member.other_keys.insert(member.other_keys.end(), other.definition.key_base.begin(),
                                             other.definition.key_base.end());
                }
            }
            member.alters = needed_alters(node_of(member.base), member.definition, member.base,
                                          base_buckets(catalog_, member.base), member.other_keys);
        }
    }

    pg::Connection& catalog_;
    const CreateRequest& request_;
    const Beside& beside_;
    CompositePlan plan_;
    std::vector<catalog::CapturedTable> bases_;    ///< of each use
    std::vector<catalog::TableDefinition> tables_; ///< of each use
    UseColumns columns_;
    std::vector<std::vector<std::string>> keyed_; ///< of each use
    std::vector<std::string> key_types_;
    std::vector<Wanted> wanted_;
    std::map<std::string, std::unique_ptr<pg::Connection>> connections_;
};

} // namespace

CompositePlan plan_composite(pg::Connection& catalog, const CreateRequest& request, const Beside& beside)
{
    return Planner(catalog, request, beside).plan();
}

const Definition& routed_member(const CompositePlan& plan)
{
    return std::find_if(plan.members.begin(), plan.members.end(),
                        [](const Member& member) { return !member.definition.routed_as_schema.empty(); })
        ->definition;
}

std::vector<std::string> member_names(const CompositePlan& plan)
{
    std::vector<std::string> names;
    for (const Member& member : plan.members) {
        names.push_back(member.definition.name);
    }
    return names;
}

std::string composite_query(const CompositePlan& plan)
{
    std::vector<std::string> relations;
    for (const std::size_t member : plan.member_of_use) {
        relations.push_back(plan.members[member].definition.view().quoted());
    }
    return with_tables(plan.select, relations);
}

BucketLayout base_buckets(pg::Connection& catalog, const catalog::CapturedTable& table)
{
    return table.group.empty() ? BucketLayout(1) : catalog::group(catalog, table.group).buckets;
}

} // namespace keyshift::projections
