#pragma once
/// The leaves that a bucket is split into, made beside its present one on its owner while that is read and written, and kept in
/// step with it by triggers inside each writer's own transaction (docs/adr/0014, 0022). For all tables of a group.
///
/// Of each table the twin is a partitioned table of its own, in schema keyshift_copy_<OID of the leaf>, with the new leaves
/// alone. What holds of a twin holds here (catalog/online/twin.hpp): the leaf is the first form.

#include "catalog/online/twin.hpp"
#include "catalog/split/split_record.hpp"

#include <functional>
#include <string>
#include <vector>

namespace keyshift::catalog {

struct LeafTwin {
    QualifiedName root;
    QualifiedName leaf;                ///< of the bucket, at its present modulus
    std::vector<std::string> key;      ///< shard key
    TableDefinition definition;        ///< of the root, when the twin was made
    std::vector<QualifiedName> leaves; ///< new ones, in the twin's schema
    Twin twin;
};

/// The condition of a partition, as PostgreSQL itself has it.
std::string partition_condition(const std::string& root_oid, std::uint32_t modulus, BucketId bucket,
                                const std::vector<std::string>& arguments);

/// Throws RefusedError where a table of the group cannot be split while it is used.
void check_splittable(pg::Connection& node, const Split& split, const std::vector<CapturedTable>& tables);

/// Twins, empty, that follow from now on. `before` is the layout that has the bucket in one piece.
std::vector<LeafTwin> make_leaf_twins(pg::Connection& node, const Split& split, const BucketLayout& before,
                                      const std::vector<CapturedTable>& tables, const OnlineWork& work);

/// Filled, compared, with their foreign keys, and no snapshot is left that would miss their rows.
void complete_leaf_twins(pg::Connection& node, const std::vector<LeafTwin>& twins, const OnlineWork& work);

/// Takes back what make_leaf_twins() made, also what a killed command left; idempotent.
void drop_leaf_twins(pg::Connection& node, const Split& split, const std::vector<CapturedTable>& tables);

} // namespace keyshift::catalog
