#pragma once
/// What `keyshift status`, `cdc status` and the HTTP API say, read from the catalog.

#include "core/pg/connection.hpp"

#include <nlohmann/json_fwd.hpp>

namespace keyshift::daemon {

/// docs/interface.md: `cdc status`, one object a node.
nlohmann::json cdc_status(pg::Connection& catalog);
/// {"daemon":{...},"nodes":[...],"streams":[...],"jobs":[...],"projections":[...]}.
nlohmann::json status_report(pg::Connection& catalog);
/// Of one projection, or of all where it is empty.
nlohmann::json rejections(pg::Connection& catalog, const std::string& projection);
/// Throws Error(refused) when there is none of this number.
nlohmann::json rejection(pg::Connection& catalog, std::int64_t id);

} // namespace keyshift::daemon
