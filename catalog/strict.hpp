#pragma once
/// Strict tables on one node: row security on the root that refuses sessions whose map of buckets is too old, and those
/// that name none (catalog/sql/strict.sql). What row security the table has of its own stays as it is. Each call runs inside
/// the caller's transaction.

#include "catalog/finding.hpp"
#include "catalog/node_access.hpp"

#include <string>
#include <vector>

namespace keyshift::catalog {

/// Idempotent. Returns a warning, else "", where the table's owner is left out: policies of its own would bind him too.
std::string make_strict(pg::Connection& node, const QualifiedName& root, const std::string& group);
/// Idempotent.
void end_strict(pg::Connection& node, const QualifiedName& root);
/// Of every table of the node.
void end_all_strict(pg::Connection& node);
bool is_strict(pg::Connection& node, const QualifiedName& root);

/// Frees the owner, for work that must see every row, or binds him again. Nothing where the table is not strict.
void bind_owner(pg::Connection& node, const QualifiedName& root, bool bound);

/// In the transaction in which a bucket of the group leaves the node.
void map_changed(pg::Connection& node, const std::string& group);

/// Findings where the node's table is not as the catalog says.
std::vector<Finding> check_strict(const OpenNode& open, const CapturedTable& table);

} // namespace keyshift::catalog
