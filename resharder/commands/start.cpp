#include "catalog/node_access.hpp"
#include "core/json.hpp"
#include "resharder/commands/begin_job.hpp"
#include "resharder/resharder.hpp"

namespace keyshift::resharder {

std::int64_t start(pg::Connection& catalog, const PlanWish& wish, const std::optional<std::string>& plan_id)
{
    const std::string what = "starting a reshard";
    // A table that joins a group meanwhile would be passed by.
    const catalog::CommandLock lock(catalog, what);
    refuse_unfinished_job(catalog, what);
    const nlohmann::json planned = plan(catalog, wish);
    if (plan_id && planned.at("plan") != *plan_id) {
        throw RefusedError({"starting plan " + *plan_id, "the placement or the wish differs from when it was made",
                            "look at the new plan: `keyshift reshard plan`"});
    }
    return planned.at("moves").empty() ? 0 : begin_job(catalog, what, planned);
}

} // namespace keyshift::resharder
