#include "advisor/report.hpp"

#include "core/json.hpp"

#include <algorithm>
#include <cmath>

namespace keyshift::advisor {

using Json = nlohmann::json;

namespace {

/// Long enough to be known again.
std::string shortened(const std::string& text)
{
    constexpr std::size_t kLongest = 160;
    if (text.size() <= kLongest) {
        return text;
    }
    std::size_t end = kLongest;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) {
        --end;
    }
    return text.substr(0, end) + " ...";
}

double share(double part, double whole)
{
    constexpr double kDigits = 1e4;
    return whole > 0 ? std::round(kDigits * part / whole) / kDigits : 0;
}

Json optional_number(const std::optional<double>& number)
{
    return number ? Json(*number) : Json();
}

Json verdict_json(const Advice& advice, const DatabaseStatistics& database)
{
    const Verdict& verdict = advice.verdict;
    return {{"shard", verdict.shard},
            {"why", verdict.why},
            {"nodes", verdict.nodes},
            {"bytes", database.bytes},
            {"bytes_in_a_year", std::round(verdict.bytes_in_a_year)},
            {"memory", database.memory},
            {"growth_per_day", optional_number(verdict.growth_per_day)},
            {"writes_per_second", optional_number(verdict.writes_per_second)},
            {"counted_seconds", std::round(database.seconds)}};
}

Json workload_json(const Advice& advice, const Workload& workload)
{
    Json unread = Json::array();
    for (const Unread& one : workload.unread) {
        unread.push_back({{"query", shortened(one.text)}, {"calls", one.calls}, {"why", one.why}});
    }
    return {{"from", workload.from.empty() ? Json() : Json(workload.from)},
            {"missing", workload.missing.empty() ? Json() : Json(workload.missing)},
            {"statements", workload.asked.size()},
            {"calls", advice.calls},
            {"one_shard", share(advice.calls_of_one, advice.calls)},
            {"shard_of_each_key", share(advice.calls_of_keys, advice.calls)},
            {"every_shard", share(advice.calls - advice.calls_of_one - advice.calls_of_keys, advice.calls)},
            {"without_tables", workload.idle_calls},
            {"hidden_calls", workload.hidden},
            {"unread", unread}};
}

Json table_json(const Advice& advice, const Workload& workload, const TableStatistics& table)
{
    const Placement& placement = advice.placements.at(table.name);
    const bool distributed = placement.kind == Placement::Kind::distributed;
    double calls = 0;
    double single = 0;
    for (const Asked& asked : workload.asked) {
        const auto& uses = asked.statement.uses;
        if (std::any_of(uses.begin(), uses.end(), [&](const TableUse& use) { return use.table == table.name; })) {
            calls += asked.calls;
            single += reach(asked.statement, asked.bindings, advice.placements).reach == Reach::one ? asked.calls : 0;
        }
    }
    Json with;
    for (const auto& [name, leader] : advice.order) {
        with = name == table.name && leader ? Json(leader->to_string()) : with;
    }
    return {{"table", table.name.to_string()},
            {"place", distributed                                    ? "distributed"
                      : placement.kind == Placement::Kind::reference ? "reference"
                                                                     : "local"},
            {"key", distributed ? Json(placement.key) : Json()},
            {"with", with},
            {"rows", table.rows},
            {"bytes", table.bytes},
            {"written", table.inserted + table.updated + table.deleted},
            {"scans", table.scans},
            {"calls", calls},
            {"one_shard", calls > 0 ? Json(share(single, calls)) : Json()},
            {"why", placement.why}};
}

} // namespace

Json report(const Advice& advice, const DatabaseStatistics& database, const Workload& workload)
{
    Json tables = Json::array();
    for (const auto& [name, leader] : advice.order) {
        tables.push_back(table_json(advice, workload, database.tables.at(name)));
    }
    for (const Placement::Kind kind : {Placement::Kind::reference, Placement::Kind::local}) {
        for (const auto& [name, placement] : advice.placements) {
            if (placement.kind == kind) {
                tables.push_back(table_json(advice, workload, database.tables.at(name)));
            }
        }
    }
    Json crossings = Json::array();
    for (const Crossing& crossing : advice.projections.crossings) {
        const Asked& asked = workload.asked[crossing.asked];
        crossings.push_back({{"query", shortened(asked.text)},
                             {"calls", asked.calls},
                             {"share", share(asked.calls, advice.calls)},
                             {"milliseconds", asked.milliseconds},
                             {"rows", asked.rows},
                             {"why", crossing.why},
                             {"projection", crossing.projection.empty() ? Json() : Json(crossing.projection)},
                             {"next", crossing.next}});
    }
    Json projections = Json::array();
    for (const ProjectionNeed& need : advice.projections.projections) {
        Json whole = Json::array();
        for (const QualifiedName& name : need.whole) {
            whole.push_back(name.to_string());
        }
        projections.push_back({{"name", need.name},
                               {"whole_on_every_node", whole},
                               {"nullable_key", need.nullable},
                               {"key", need.key},
                               {"sql", need.sql},
                               {"exists", database.projections.contains(need.name)},
                               {"calls", need.calls},
                               {"share", share(need.calls, advice.calls)}});
    }
    return {{"verdict", verdict_json(advice, database)},
            {"workload", workload_json(advice, workload)},
            {"tables", tables},
            {"cross_shard", crossings},
            {"projections", projections}};
}

} // namespace keyshift::advisor
