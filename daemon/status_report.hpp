#pragma once
/// What `keyshift status`, `cdc status` and the HTTP API say, read from the catalog.

#include "core/pg/connection.hpp"

#include <nlohmann/json_fwd.hpp>

namespace keyshift::daemon {

/// docs/interface.md: `cdc status`, one object a node.
nlohmann::json cdc_status(pg::Connection& catalog);
/// {"daemon":{...},"nodes":[...],"streams":[...],"jobs":[...],"projections":[...]}.
nlohmann::json status_report(pg::Connection& catalog);

} // namespace keyshift::daemon
