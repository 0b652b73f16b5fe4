#pragma once
/// `keyshift table reference`: run by the command line against catalog and nodes; the daemon fills and keeps the copies.

#include "projections/projections.hpp"

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <string>

namespace keyshift::projections {

struct ReferenceRequest {
    std::string table;
    std::optional<std::string> node; ///< its home, where no node has rows of it yet
    bool dry_run = false;
    EventForms forms; ///< as in ProjectionOptions
};

/// Checks everything, captures the table where it lives and makes the copies, empty, on every other node. Run again it makes
/// what is missing. {"table","home","copies":[node],"warnings","dry_run"}. Throws Error(refused).
nlohmann::json make_reference(pg::Connection& catalog, const ReferenceRequest& request);

/// Copies that are live, and all there are to be.
struct CopiesDone {
    std::int64_t live = 0;
    std::int64_t all = 0;
    std::string waits; ///< why one is not live, as far as known
};
CopiesDone copies_done(pg::Connection& catalog, const std::string& table);

} // namespace keyshift::projections
