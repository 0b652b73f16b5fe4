#pragma once
/// Where a node is from now on: its server moved, or its standby was promoted and takes its place.

#include "core/pg/connection.hpp"

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <string>

namespace keyshift::resharder {

struct NodeAddress {
    std::string node;
    std::string dsn;
    std::optional<std::string> password_file; ///< nullopt: as before
    bool other_server = false;                ///< another system identifier is meant
    bool dry_run = false;
};

/// Refused unless the database is this node's, takes writes and belongs to the server that the catalog knows. What the node
/// lacks of fences and opens is mended; a slot that did not come along is made anew. {"node","host","port","dbname",
/// "system_identifier","timeline":{"before","now"},"buckets":[...as mend_returned_node],"recovered":null or
/// {"gap_from","begins_at","tables"},"warnings":[...],"dry_run"}
nlohmann::json set_node_address(pg::Connection& catalog, const NodeAddress& request);

} // namespace keyshift::resharder
