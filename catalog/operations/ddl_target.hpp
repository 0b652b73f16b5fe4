#pragma once
/// Which distributed tables a statement is about, and whether their shard key lets it be.

#include "catalog/ddl_statement.hpp"
#include "catalog/node_access.hpp"

#include <string>
#include <vector>

namespace keyshift::catalog {

struct DdlTarget {
    std::vector<CapturedTable> tables;
    std::vector<std::string> groups; ///< theirs, each once
};

/// Throws RefusedError with the reason and what to do instead. `nodes`: asked whose an index is, and for constraints.
DdlTarget check_ddl(pg::Connection& catalog, std::vector<OpenNode>& nodes, const DdlStatement& statement);

} // namespace keyshift::catalog
