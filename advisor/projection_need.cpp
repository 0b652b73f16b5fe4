#include "advisor/projection_need.hpp"

#include "advisor/definition_sketch.hpp"
#include "advisor/verdict.hpp"
#include "core/size_words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace keyshift::advisor {

namespace {

struct Wanted {
    DefinitionSketch sketch;
    double calls = 0;
    std::vector<std::size_t> crossings;
};

using WantedByIdentity = std::map<std::string, Wanted>;

void want(WantedByIdentity& all, DefinitionSketch sketch, double calls, std::vector<std::size_t> crossings)
{
    Wanted& wanted = all.try_emplace(sketch.identity(), Wanted{sketch, 0, {}}).first->second;
    wanted.sketch.columns.insert(sketch.columns.begin(), sketch.columns.end());
    wanted.sketch.totals.insert(sketch.totals.begin(), sketch.totals.end());
    wanted.calls += calls;
    wanted.crossings.insert(wanted.crossings.end(), crossings.begin(), crossings.end());
}

/// Rows by a key give their totals too: where a projection of the same table has the key already, it is read instead.
void fold_totals(WantedByIdentity& all)
{
    for (auto one = all.begin(); one != all.end();) {
        Wanted& totals = one->second;
        const auto rows = std::find_if(all.begin(), all.end(), [&](const auto& other) {
            return totals.sketch.kind == DefinitionSketch::Kind::totals &&
                   other.second.sketch.kind == DefinitionSketch::Kind::rekey &&
                   other.second.sketch.bases == totals.sketch.bases && other.second.sketch.key == totals.sketch.key;
        });
        if (rows == all.end()) {
            ++one;
            continue;
        }
        Wanted& target = rows->second;
        target.sketch.columns.insert(totals.sketch.columns.begin(), totals.sketch.columns.end());
        target.sketch.columns.insert(totals.sketch.arguments.begin(), totals.sketch.arguments.end());
        target.calls += totals.calls;
        target.crossings.insert(target.crossings.end(), totals.crossings.begin(), totals.crossings.end());
        one = all.erase(one);
    }
}

std::string free_name(const std::string& wanted, std::set<std::string>& taken)
{
    std::string name = wanted;
    for (int number = 2; !taken.insert(name).second; ++number) {
        name = wanted + "_" + std::to_string(number);
    }
    return name;
}

/// What the projection costs beside its own rows.
std::string price_of(const ProjectionNeed& projection, const DatabaseStatistics& database)
{
    std::string tables;
    for (const QualifiedName& name : projection.whole) {
        tables += fmt::format("{}{} ({})", tables.empty() ? "" : ", ", name.to_string(),
                              size_words(static_cast<double>(database.tables.at(name).bytes)));
    }
    std::string price = tables.empty() ? "" : "; for it every node keeps the columns it uses of all rows of " + tables;
    for (const std::string& column : projection.nullable) {
        price += fmt::format(
            "; {} may be NULL: rows without it are left out, and for that the table's replica identity becomes FULL, "
            "unless you make it NOT NULL first",
            column);
    }
    return price;
}

std::string what_to_do(const DatabaseStatistics& database, const Asked& asked, const Placements& placements,
                       const ProjectionNeed& projection)
{
    if (!asked.writes()) {
        return fmt::format("read {0} on the node that `keyshift route {0} KEY` names{1}", projection.name,
                           price_of(projection, database));
    }
    const std::string key = placements.at(projection.bases.front()).key;
    return fmt::format("say its {} in WHERE; {} tells it by {}{}", key, projection.name, projection.key,
                       price_of(projection, database));
}

std::string what_to_do_without(const Asked& asked, const Placements& placements, const std::string& why)
{
    for (const TableUse& use : asked.statement.uses) {
        const Placement& placement = placements.at(use.table);
        const std::size_t number = static_cast<std::size_t>(&use - asked.statement.uses.data());
        if (asked.statement.kind == Statement::Kind::insert && use.written &&
            placement.kind == Placement::Kind::distributed && !asked.bindings.contains({number, placement.key})) {
            return fmt::format("say {} in the INSERT: make it in the application", placement.key);
        }
    }
    return why;
}

} // namespace

ProjectionPlan plan_projections(const DatabaseStatistics& database, const Workload& workload,
                                const Placements& placements)
{
    ProjectionPlan plan;
    WantedByIdentity all;
    for (std::size_t at = 0; at < workload.asked.size(); ++at) {
        const Asked& asked = workload.asked[at];
        const Reached found = reach(asked.statement, asked.bindings, placements);
        if (found.reach != Reach::all) {
            continue;
        }
        plan.crossings.push_back({at, found.why, {}, {}});
        if (asked.statement.kind == Statement::Kind::insert) {
            plan.crossings.back().next = what_to_do_without(asked, placements, "write each table by its own key");
            continue;
        }
        auto made = sketch(database, asked, placements);
        if (const NoDefinition* none = std::get_if<NoDefinition>(&made)) {
            plan.crossings.back().next = what_to_do_without(asked, placements, none->why);
        } else {
            want(all, std::move(std::get<DefinitionSketch>(made)), asked.calls, {plan.crossings.size() - 1});
        }
    }
    fold_totals(all);
    std::set<std::string> taken;
    for (const auto& [name, table] : database.tables) {
        taken.insert(name.name);
    }
    std::vector<const Wanted*> order;
    for (const auto& [identity, wanted] : all) {
        order.push_back(&wanted);
    }
    std::stable_sort(order.begin(), order.end(),
                     [](const Wanted* left, const Wanted* right) { return left->calls > right->calls; });
    for (const Wanted* wanted : order) {
        plan.projections.push_back({free_name(wanted->sketch.suggested_name(), taken), wanted->sketch.key_name(),
                                    wanted->sketch.sql(database), wanted->calls, wanted->sketch.bases,
                                    wanted->sketch.nullable, wanted->sketch.whole});
        for (const std::size_t crossing : wanted->crossings) {
            Crossing& served = plan.crossings[crossing];
            served.projection = plan.projections.back().name;
            served.next = what_to_do(database, workload.asked[served.asked], placements, plan.projections.back());
        }
    }
    std::stable_sort(plan.crossings.begin(), plan.crossings.end(), [&](const Crossing& left, const Crossing& right) {
        return workload.asked[left.asked].calls > workload.asked[right.asked].calls;
    });
    return plan;
}

} // namespace keyshift::advisor
