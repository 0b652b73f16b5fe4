#pragma once
/// `reshard split` and `reshard isolate`: buckets become several while they are read and written. The command does the work;
/// killed, a second one goes on (docs/adr/0022).

#include "catalog/online_work.hpp"
#include "core/pg/connection.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace keyshift::catalog {

struct SplitRequest {
    std::optional<std::uint32_t> bucket; ///< nullopt: every bucket that has the group's smallest modulus
    std::string group;                   ///< or one of its tables; may be empty where there is one group only
    bool dry_run = false;
};
/// {"group","splits":[{"bucket","node","epoch","write_block_ms","into":[{"bucket","modulus"}]}],"buckets","dry_run"}
nlohmann::json split(pg::Connection& catalog, const SplitRequest& request, const OnlineWork& online = {});

struct IsolateRequest {
    std::string table;
    std::vector<std::string> key;
    bool dry_run = false;
};
/// Splits the key's bucket in one go, as finely as it takes for no other key to be with it, or as far as that helps.
/// {"table","group","key","bucket","modulus","node","keys_beside","splits":[...],"dry_run"}
nlohmann::json isolate(pg::Connection& catalog, const IsolateRequest& request, const OnlineWork& online = {});

} // namespace keyshift::catalog
