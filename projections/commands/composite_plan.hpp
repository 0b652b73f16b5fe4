#pragma once
/// What a SELECT over several tables needs on every node, before anything is made: asks the servers, changes nothing.

#include "catalog/catalog.hpp"
#include "core/bucket_layout.hpp"
#include "projections/co_location.hpp"
#include "projections/definition.hpp"
#include "projections/projections.hpp"

#include <string>
#include <vector>

namespace keyshift::projections {

struct Member {
    Definition definition;
    catalog::CapturedTable base;
    std::vector<std::string> alters; ///< that its table needs on its first node
    std::vector<std::string> other_keys;
};

struct CompositePlan {
    CompositeSelect select;
    std::string view_schema;
    std::vector<Member> members;
    std::vector<std::size_t> member_of_use;
    std::vector<ProjectedColumn> columns; ///< of the view
    QualifiedName view() const { return {view_schema, name}; }
    std::string name;
};

/// Throws Error(refused) where the SELECT cannot be kept exact.
CompositePlan plan_composite(pg::Connection& catalog, const CreateRequest& request);
/// The SELECT over the members' views.
std::string composite_query(const CompositePlan& plan);
BucketLayout base_buckets(pg::Connection& catalog, const catalog::CapturedTable& table);

} // namespace keyshift::projections
