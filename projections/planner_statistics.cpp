#include "projections/planner_statistics.hpp"

#include "catalog/catalog.hpp"
#include "core/log.hpp"

namespace keyshift::projections {

namespace {

/// 3,000 rows of each leaf: a second for a million rows. The limits are how long a daemon that stops may have to wait for it.
constexpr const char* kSession =
    "SET default_statistics_target = 10; SET lock_timeout = '1s'; SET statement_timeout = '30s'";

void analyze(const Definition& definition, const catalog::Node& node)
{
    pg::Connection connection(node.connection("projection statistics"));
    connection.script(kSession);
    connection.script("ANALYZE " + definition.table().quoted());
    if (definition.aggregation) {
        connection.script("ANALYZE " + definition.totals().quoted());
    }
}

} // namespace

void gather_planner_statistics(const Definition& definition, const pg::ConnectionSettings& catalog,
                               const std::stop_token& stop) noexcept
try {
    pg::ConnectionSettings settings = catalog;
    settings.purpose = "projection statistics";
    pg::Connection connection(settings);
    for (const catalog::Node& node : catalog::nodes(connection)) {
        if (!stop.stop_requested() && (node.state == "active" || node.state == "draining")) {
            analyze(definition, node);
        }
    }
} catch (const std::exception& error) {
    log::info("projections", "projection={} the planner's statistics are left to autovacuum: {}", definition.name,
              error.what());
}

} // namespace keyshift::projections
