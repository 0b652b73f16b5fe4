#pragma once
/// A statement on every node: each has it in an open transaction before the first of them commits.

#include "catalog/ddl_statement.hpp"
#include "catalog/node_access.hpp"
#include "catalog/operations/ddl_target.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace keyshift::catalog {

/// A lock that is not got, in words; empty: go on. Asked between tries: false gives up.
using KeepTrying = std::function<bool(const std::string& waits_for)>;

/// On the nodes without its mark. Locks are waited for in short tries. When it throws and no node has the mark, nothing has
/// been changed.
void run_everywhere(std::vector<OpenNode>& nodes, std::int64_t id, const DdlStatement& statement,
                    const DdlTarget& target, const KeepTrying& keep_trying);

/// Builds the index leaf by leaf, CONCURRENTLY, and attaches the parts; may be run again after any interruption.
void build_index_everywhere(pg::Connection& catalog, std::vector<OpenNode>& nodes, std::int64_t id,
                            const DdlStatement& statement, const DdlTarget& target, const KeepTrying& keep_trying);
/// Takes away what build_index_everywhere has made on the nodes with the mark.
void drop_index_everywhere(pg::Connection& catalog, std::vector<OpenNode>& nodes, std::int64_t id,
                           const DdlStatement& statement, const DdlTarget& target);

/// Runs `body` in a transaction of the node whose locks are waited for in short tries, with the user's names visible.
void with_tries(pg::Connection& node, const DdlTarget& target, const KeepTrying& keep_trying,
                const std::function<void()>& body);

} // namespace keyshift::catalog
