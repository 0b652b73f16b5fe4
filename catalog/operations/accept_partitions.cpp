#include "catalog/operations.hpp"

#include "core/error.hpp"
#include "core/json.hpp"

#include <fmt/format.h>

namespace keyshift::catalog {

nlohmann::json accept_partitions(pg::Connection& catalog, const std::string& topic, bool dry_run)
{
    check_version(catalog);
    const pg::Result known = catalog.query("SELECT partitions FROM keyshift.topic WHERE name = $1", {topic});
    if (known.rows() == 0) {
        throw RefusedError({fmt::format("accepting the partitions of topic {}", topic),
                            "no stream has written to a topic of this name",
                            "`keyshift cdc status` names the topic that stopped a stream."});
    }
    if (!dry_run) {
        catalog.query("DELETE FROM keyshift.topic WHERE name = $1", {topic});
        notify(catalog, "topic");
    }
    return {{"topic", topic}, {"partitions_before", known.integer(0, 0)}, {"dry_run", dry_run}};
}

} // namespace keyshift::catalog
