#pragma once
/// One split from its record to its end, begun here or by a command that died: INV-MOV-3.

#include "catalog/online_work.hpp"
#include "catalog/split/split_record.hpp"

#include <nlohmann/json_fwd.hpp>

#include <vector>

namespace keyshift::catalog {

/// Of a group, before its first bucket is split: throws RefusedError where that cannot be now.
void check_group_splittable(pg::Connection& catalog, const Group& group);

/// What carry_out() will do; `made` rising.
Split plan_split(pg::Connection& catalog, const Group& group, BucketId bucket, std::vector<BucketId> made);

/// {"bucket","node","epoch","write_block_ms","into":[{"bucket","modulus"}]}
nlohmann::json carry_out(pg::Connection& catalog, const Split& planned, const OnlineWork& online);
/// The same of one that was begun.
nlohmann::json go_on(pg::Connection& catalog, const Split& begun, const OnlineWork& online);
/// The same of one that is not begun.
nlohmann::json describe_split(pg::Connection& catalog, const Split& split);

} // namespace keyshift::catalog
