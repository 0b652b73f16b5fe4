#include "catalog/node_access.hpp"
#include "catalog/operations.hpp"
#include "catalog/strict.hpp"
#include "core/error.hpp"
#include "core/json.hpp"
#include "core/pg/short_lock.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keyshift::catalog {

nlohmann::json set_strict(pg::Connection& catalog, const std::string& text, bool strict, bool dry_run)
{
    check_version(catalog);
    const QualifiedName name = QualifiedName::parse(text);
    const CommandLock lock(catalog, "table strict " + name.to_string());
    const std::vector<CapturedTable> all = tables(catalog);
    const auto table = std::find_if(all.begin(), all.end(), [&](const CapturedTable& one) {
        return one.name == name && !one.group.empty() && one.captured;
    });
    if (table == all.end()) {
        throw RefusedError({"table strict " + name.to_string(), "it is not a distributed table",
                            "`keyshift table list` shows which are."});
    }
    nlohmann::json warnings = nlohmann::json::array();
    if (!dry_run) {
        // First said, then done: a run that dies between is seen by doctor, and a second one goes on.
        catalog.query("UPDATE keyshift.captured_table SET strict = $2::boolean WHERE id = $1::bigint",
                      {std::to_string(table->id), strict ? "true" : "false"});
        for (const OpenNode& open : open_nodes(catalog, "table strict")) {
            pg::Connection& node = *open.connection;
            std::string warning;
            pg::with_short_locks(node,
                                 [&] {
                                     if (strict) {
                                         warning = make_strict(node, name, table->group);
                                     } else {
                                         end_strict(node, name);
                                     }
                                 },
                                 {}, {});
            if (!warning.empty()) {
                warnings.push_back(open.node.name + ": " + warning);
            }
        }
    }
    return {{"table", name.to_string()}, {"strict", strict}, {"warnings", warnings}, {"dry_run", dry_run}};
}

} // namespace keyshift::catalog
