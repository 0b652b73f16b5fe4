#include "advisor/advisor.hpp"

#include "advisor/advice.hpp"
#include "advisor/report.hpp"
#include "core/json.hpp"

#include "catalog/finding.hpp"
#include "core/error.hpp"

#include <fstream>
#include <sstream>

namespace keyshift::advisor {

using Json = nlohmann::json;

namespace {

QueryLog read_file(const std::string& name)
{
    std::ifstream file(name, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    if (!file) {
        throw Error(ErrorKind::usage, {"reading " + name, "it cannot be opened, or holds nothing",
                                       "Give a file of SQL statements, each ended by a semicolon."});
    }
    return read_query_file(name, text.str());
}

/// What stands in the way of the chosen keys, with the DDL that mends it.
std::vector<catalog::Finding> fixes(pg::Connection& database, const Advice& advice,
                                    const DatabaseStatistics& statistics)
{
    catalog::Plan plan;
    for (const auto& [name, placement] : advice.placements) {
        if (placement.kind == Placement::Kind::distributed) {
            plan[name] = {{placement.key}, {statistics.tables.at(name).column(placement.key)->type}, {}, false};
        } else if (placement.kind == Placement::Kind::reference) {
            plan[name].reference = true;
        }
    }
    std::vector<catalog::TableFacts> facts;
    for (const auto& [name, leader] : advice.order) {
        if (!statistics.tables.at(name).shard_key.empty()) {
            continue;
        }
        facts.push_back(catalog::read_facts(database, name, {advice.placements.at(name).key}));
    }
    return catalog::check_tables(facts, plan, false);
}

} // namespace

Json advise(pg::Connection& database, const AdviseRequest& request)
{
    const DatabaseStatistics statistics = read_statistics(database);
    if (statistics.tables.empty()) {
        throw RefusedError({"advising on " + request.dsn, "the database has no table that this role can see",
                            "Name the database with --dsn, or connect as the owner of the tables."});
    }
    const QueryLog log = request.queries ? read_file(*request.queries) : read_query_statistics(database);
    const Workload workload = read_workload(log, statistics.tables);
    const Advice advice = advise(statistics, workload, request.nodes);
    Json made = report(advice, statistics, workload);
    made["fixes"] = catalog::to_json(fixes(database, advice, statistics));
    made["commands"] = commands_of(advice, statistics, request.dsn);
    return made;
}

} // namespace keyshift::advisor
