#pragma once
/// The advice as JSON (docs/interface.md).

#include "advisor/advice.hpp"

#include <nlohmann/json_fwd.hpp>

namespace keyshift::advisor {

nlohmann::json report(const Advice& advice, const DatabaseStatistics& database, const Workload& workload);

} // namespace keyshift::advisor
