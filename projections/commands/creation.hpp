#pragma once
/// Steps that making a projection of one table and of several have in common.

#include "catalog/distributed_root.hpp"
#include "catalog/option_check.hpp"
#include "projections/projection_record.hpp"
#include "projections/projections.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace keyshift::projections {

/// A projection whose SELECT reads several tables.
nlohmann::json create_composite(pg::Connection& catalog, const CreateRequest& request);

/// Throws Error(refused) when the name is taken or not plain, or the number of buckets cannot be. `node` has the base table;
/// `schema` is the view's.
void check_name(pg::Connection& catalog, pg::Connection& node, const CreateRequest& request, const std::string& schema);
/// It is filled and verified from the rows as they are, and kept by events: throws Error(refused) unless they show the same.
void refuse_what_events_hide(const Definition& definition, const CaptureOptions& options);
/// `doing`: "creating projection NAME".
[[noreturn]] void refuse_alters(const std::string& doing, const std::vector<std::string>& alters);
/// A group with this definition's key, its buckets spread over the nodes in order.
catalog::DistributedRoot new_group(const Definition& definition, std::uint32_t buckets,
                                   const std::vector<catalog::Node>& nodes);
/// Inside the caller's transaction on the catalog.
void record_group(pg::Connection& catalog, const CreateRequest& request, const catalog::DistributedRoot& root);
/// The same, behind record_group; `base`: the captured table's number.
void record_definition(pg::Connection& catalog, const Definition& definition, const std::string& sql,
                       std::int64_t base);
/// Of a projection's group, as the catalog has it.
catalog::DistributedRoot root_of(pg::Connection& catalog, const std::string& group);
/// From here to the end of the caller's transaction on the catalog none of its buckets begins to move: tables that it records have
/// their leaves where `root` says. Throws Error(refused) where one has meanwhile.
void hold_placement(pg::Connection& catalog, const std::string& name, const catalog::DistributedRoot& root);
/// A new generation of the definition that `like` has, also of a part of another projection. One that does not serve gives way to it.
/// Throws Error(refused) where it cannot be begun now.
void rebuild_generation(pg::Connection& catalog, const ProjectionRecord& like);

} // namespace keyshift::projections
