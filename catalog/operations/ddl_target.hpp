#pragma once
/// Which distributed or reference tables a statement is about, and whether their shard key or their copies let it be.

#include "catalog/ddl_statement.hpp"
#include "catalog/node_access.hpp"

#include <string>
#include <vector>

namespace keyshift::catalog {

struct DdlTarget {
    std::vector<CapturedTable> tables;
    std::vector<std::string> groups; ///< theirs, each once; none of reference tables
};

/// Throws RefusedError with the reason and what to do instead. `nodes`: asked whose an index is, and for constraints.
DdlTarget check_ddl(pg::Connection& catalog, std::vector<OpenNode>& nodes, const DdlStatement& statement);

} // namespace keyshift::catalog
