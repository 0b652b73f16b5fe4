#pragma once
/// What must hold before a node is added; each fault is an Error of its own, before anything is touched.

#include "catalog/operations.hpp"

#include <string>

namespace keyshift::catalog {

struct NodeIdentity {
    std::string system_identifier;
    std::uint32_t timeline = 0;
};

/// Letters, digits and underscores only, in lower case: what a slot's name may hold.
std::string slot_safe(const std::string& text);

/// Name free (or left over from a run that died) and well formed, conninfo readable and without password.
void check_node_request(pg::Connection& catalog, const AddNode& request);

/// Version, wal_level, free slots and senders, rights, not another node's database.
NodeIdentity check_new_node(pg::Connection& catalog, pg::Connection& node, const std::string& name,
                            const std::string& slot);

/// The part of check_new_node that `doctor` repeats for nodes that are there. Throws RefusedError.
void check_server_settings(pg::Connection& node, bool needs_new_slot);

} // namespace keyshift::catalog
