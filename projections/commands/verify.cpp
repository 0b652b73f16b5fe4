#include "core/failpoint.hpp"
#include "core/json.hpp"
#include "projections/commands/composite.hpp"
#include "projections/commands/lasting_differences.hpp"
#include "projections/commands/totals_check.hpp"
#include "projections/projections.hpp"

#include <algorithm>

namespace keyshift::projections {

namespace {

using Json = nlohmann::json;

std::int64_t count(const Verdicts& verdicts, Verdict wanted)
{
    return std::count_if(verdicts.begin(), verdicts.end(), [&](const auto& row) { return row.second == wanted; });
}

const char* name_of(Verdict verdict)
{
    return verdict == Verdict::missing ? "missing" : verdict == Verdict::extra ? "extra" : "different";
}

} // namespace

namespace {

constexpr std::size_t kExamples = 20;

void add(Json& report, const char* field, std::int64_t more)
{
    report[field] = report[field].get<std::int64_t>() + more;
}

/// `copy`: as Comparison's.
void verify_copy(pg::Connection& catalog, const ProjectionRecord& record, const std::string& copy, Json& report,
                 const std::stop_token& stop)
{
    Comparison comparison(catalog, record, copy);
    SettledRows settled(catalog, record.definition);
    const Verdicts verdicts = lasting_differences(comparison, settled, record.definition, Stalled::compare, stop);
    for (const auto& [row, verdict] : verdicts) {
        if (report["examples"].size() < kExamples) {
            Json example{{"primary_key", row}, {"kind", name_of(verdict)}};
            if (!record.definition.part_of.empty()) {
                example["table"] = record.definition.base.to_string();
            }
            if (!copy.empty()) {
                example["node"] = copy;
            }
            report["examples"].push_back(std::move(example));
        }
    }
    for (const Verdict kind : {Verdict::missing, Verdict::extra, Verdict::different}) {
        add(report, name_of(kind), count(verdicts, kind));
    }
    add(report, "rows", comparison.rows());
    report["rejected"] = std::max(report["rejected"].get<std::int64_t>(), comparison.rejected());
}

} // namespace

Json verify_one(pg::Connection& catalog, const ProjectionRecord& record, const std::stop_token& stop)
{
    failpoint("projection.verify.read");
    Json report{
        {"name", record.definition.name}, {"rows", 0}, {"missing", 0}, {"extra", 0}, {"different", 0}, {"rejected", 0},
        {"examples", Json::array()}};
    for (const std::string& copy : copies_of(catalog, record.definition)) {
        verify_copy(catalog, record, copy, report, stop);
    }
    if (record.definition.aggregation) {
        std::vector<catalog::OpenNode> nodes = catalog::open_nodes(catalog, "projection verify");
        const TotalsCheck totals = check_totals(nodes, record.definition);
        report["groups"] = totals.groups;
        report["groups_different"] = totals.different;
        add(report, "different", totals.different);
    }
    return report;
}

namespace {

/// Those that serve: of the projection, or of its members.
std::vector<std::int64_t> generations(pg::Connection& catalog, const std::string& name)
{
    const auto composite = read_composite(catalog, name);
    std::vector<std::int64_t> ids;
    for (const std::string& one : composite ? composite->members : std::vector<std::string>{name}) {
        ids.push_back(read_projection(catalog, one).id);
    }
    return ids;
}

Json verify_generation(pg::Connection& catalog, const std::string& name, const std::stop_token& stop)
{
    const auto composite = read_composite(catalog, name);
    if (!composite) {
        return verify_one(catalog, read_projection(catalog, name), stop);
    }
    Json report{{"name", name},
                {"rows", 0},
                {"missing", 0},
                {"extra", 0},
                {"different", 0},
                {"rejected", 0},
                {"examples", Json::array()}};
    report["tables"] = Json::array();
    for (const std::string& member : composite->members) {
        const ProjectionRecord record = read_projection(catalog, member);
        Json part = verify_one(catalog, record, stop);
        for (const char* field : {"missing", "extra", "different", "rejected"}) {
            add(report, field, part[field]);
        }
        if (!record.definition.routed_as_schema.empty()) {
            report["rows"] = part["rows"];
        }
        for (Json& example : part["examples"]) {
            if (report["examples"].size() < kExamples) {
                report["examples"].push_back(std::move(example));
            }
        }
        part.erase("examples");
        part["table"] = record.definition.base.to_string();
        report["tables"].push_back(std::move(part));
    }
    return report;
}

} // namespace

Json verify(pg::Connection& catalog, const std::string& name, std::stop_token stop)
{
    constexpr int kSuccessions = 3;
    for (int more = kSuccessions;; --more) {
        const std::vector<std::int64_t> before = generations(catalog, name);
        try {
            return verify_generation(catalog, name, stop);
        } catch (const pg::SqlError& error) {
            // A rebuild puts the next generation in its place at any moment, and drops what is being read.
            if (error.sqlstate() != "42P01" || more == 0 || generations(catalog, name) == before) {
                throw;
            }
        }
    }
}

} // namespace keyshift::projections
