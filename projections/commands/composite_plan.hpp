#pragma once
/// What a SELECT over several tables needs on every node, before anything is made: asks the servers, changes nothing.

#include "catalog/catalog.hpp"
#include "core/bucket_layout.hpp"
#include "projections/co_location.hpp"
#include "projections/definition.hpp"
#include "projections/projections.hpp"

#include <nlohmann/json_fwd.hpp>

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

/// What a further generation of a projection must differ in, and what it must have as the others have it.
struct Beside {
    std::size_t members = 0; ///< highest number that a member has
    std::string view_schema; ///< empty: that of the first table
};
/// Throws Error(refused) where the SELECT cannot be kept exact.
CompositePlan plan_composite(pg::Connection& catalog, const CreateRequest& request, const Beside& beside = {});
/// The one by whose table keys are routed.
const Definition& routed_member(const CompositePlan& plan);
std::vector<std::string> member_names(const CompositePlan& plan);
/// The SELECT over the members' views.
std::string composite_query(const CompositePlan& plan);
/// What `--dry-run` prints; `nodes`: how many there are.
nlohmann::json plan_json(pg::Connection& catalog, const CompositePlan& plan, const CreateRequest& request,
                         std::size_t nodes);
/// Gives each base table the replica identity that its events need.
void alter_bases(pg::Connection& catalog, CompositePlan& plan);
BucketLayout base_buckets(pg::Connection& catalog, const catalog::CapturedTable& table);

} // namespace keyshift::projections
