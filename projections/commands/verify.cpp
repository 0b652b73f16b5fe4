#include "projections/commands/lasting_differences.hpp"
#include "projections/commands/totals_check.hpp"
#include "projections/projections.hpp"

#include <nlohmann/json.hpp>

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

Json verify(pg::Connection& catalog, const std::string& name, std::stop_token stop)
{
    constexpr std::size_t kExamples = 20;
    const ProjectionRecord record = read_projection(catalog, name);
    Comparison comparison(catalog, record);
    SettledRows settled(catalog, record.definition);
    const Verdicts verdicts =
        lasting_differences(comparison, settled, record.definition, Stalled::compare, std::move(stop));
    Json examples = Json::array();
    for (const auto& [row, verdict] : verdicts) {
        if (examples.size() < kExamples) {
            examples.push_back({{"primary_key", row}, {"kind", name_of(verdict)}});
        }
    }
    Json report{{"name", name},
                {"rows", comparison.rows()},
                {"missing", count(verdicts, Verdict::missing)},
                {"extra", count(verdicts, Verdict::extra)},
                {"different", count(verdicts, Verdict::different)},
                {"rejected", comparison.rejected()},
                {"examples", examples}};
    if (record.definition.aggregation) {
        std::vector<catalog::OpenNode> nodes = catalog::open_nodes(catalog, "projection verify");
        const TotalsCheck totals = check_totals(nodes, record.definition);
        report["groups"] = totals.groups;
        report["groups_different"] = totals.different;
        report["different"] = count(verdicts, Verdict::different) + totals.different;
    }
    return report;
}

} // namespace keyshift::projections
