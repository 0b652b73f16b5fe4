#include "catalog/node_access.hpp"
#include "catalog/operations.hpp"
#include "catalog/operations/split.hpp"
#include "catalog/rows.hpp"
#include "catalog/split/carry_out.hpp"
#include "core/error.hpp"
#include "core/json.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keyshift::catalog {

namespace {

struct Tenant {
    CapturedTable table;
    Group group;
    std::string key; ///< its values as SQL, each cast to its column's type
    BucketId bucket{};
    std::string node;
    std::uint32_t slot = 0; ///< hash modulo the finest modulus
};

CapturedTable distributed_table(pg::Connection& catalog, const std::string& name)
{
    for (CapturedTable& table : tables(catalog)) {
        if (table.name == QualifiedName::parse(name) && !table.group.empty()) {
            return table;
        }
    }
    throw RefusedError(
        {"isolating a key of " + name, "it is not a distributed table", "`keyshift table list` shows which are."});
}

/// Any key type: the server is asked which of the bucket's slots the key has.
void find_slot(pg::Connection& node, Tenant& tenant)
{
    const std::uint32_t modulus = tenant.group.buckets.modulus(tenant.bucket);
    tenant.slot = static_cast<std::uint32_t>(
        node.query(fmt::format("SELECT r FROM generate_series({}, {}, {}) r WHERE "
                               "satisfies_hash_partition({}::regclass, {}, r, {})",
                               number(tenant.bucket), BucketLayout::kFinest - 1, modulus,
                               quote_literal(tenant.table.name.quoted()), BucketLayout::kFinest, tenant.key))
            .integer(0, 0));
}

Tenant find_tenant(pg::Connection& catalog, const IsolateRequest& request)
{
    Tenant tenant;
    tenant.table = distributed_table(catalog, request.table);
    tenant.group = group(catalog, tenant.table.group);
    const nlohmann::json place = route(catalog, request.table, request.key);
    tenant.bucket = BucketId{place.at("bucket").get<std::uint32_t>()};
    tenant.node = place.at("node");
    std::vector<std::string> values;
    for (std::size_t i = 0; i < request.key.size(); ++i) {
        values.push_back(quote_literal(request.key[i]) + "::" + tenant.group.key_types[i]);
    }
    tenant.key = join(values);
    return tenant;
}

/// How many other keys there are with the tenant at each modulus from its bucket's present one on.
std::vector<std::int64_t> keys_beside(pg::Connection& catalog, pg::Connection& node, const Tenant& tenant)
{
    std::string counts;
    std::string names;
    for (std::size_t i = 0; i < tenant.group.key_types.size(); ++i) {
        names += fmt::format("{}k{}", names.empty() ? "" : ", ", i);
    }
    for (std::uint32_t modulus = tenant.group.buckets.modulus(tenant.bucket); modulus <= BucketLayout::kFinest;
         modulus *= 2) {
        counts += fmt::format("{}count(*) FILTER (WHERE satisfies_hash_partition({}::regclass, {}, {}, {}))",
                              counts.empty() ? "" : ", ", quote_literal(tenant.table.name.quoted()), modulus,
                              tenant.slot % modulus, names);
    }
    std::string rows;
    for (const CapturedTable& table : tables_of_group(catalog, tenant.group.name)) {
        rows += fmt::format("{}SELECT {} FROM {}", rows.empty() ? "" : " UNION ", quoted_list(table.key_columns),
                            leaf_name(table.name, tenant.bucket).quoted());
    }
    const pg::Result found =
        node.query(fmt::format("SELECT {} FROM ({}) AS keys({}) WHERE ({}) IS DISTINCT FROM ({})", counts, rows, names,
                               "ROW(" + names + ")", "ROW(" + tenant.key + ")"));
    std::vector<std::int64_t> beside;
    for (int column = 0; column < found.columns(); ++column) {
        beside.push_back(found.integer(0, column));
    }
    return beside;
}

/// Each doubling of the modulus makes one bucket: where the tenant's slot has that bit its own, else the rest's.
Split chain(pg::Connection& catalog, const Tenant& tenant, std::uint32_t finest)
{
    std::vector<BucketId> made;
    for (std::uint32_t modulus = tenant.group.buckets.modulus(tenant.bucket); modulus < finest; modulus *= 2) {
        made.push_back(BucketId{tenant.slot % modulus + modulus});
    }
    return plan_split(catalog, tenant.group, tenant.bucket, std::move(made));
}

/// One that was killed and has to do with this key is finished, another one refused.
nlohmann::json finish_unfinished(pg::Connection& catalog, const IsolateRequest& request, const std::string& what,
                                 const OnlineWork& online)
{
    nlohmann::json done = nlohmann::json::array();
    const Tenant tenant = find_tenant(catalog, request);
    const auto begun = unfinished_split(catalog, tenant.group.name);
    if (!begun) {
        return done;
    }
    const std::vector<BucketId> all = begun->all();
    if (request.dry_run || std::find(all.begin(), all.end(), tenant.bucket) == all.end()) {
        refuse_unfinished_split(catalog, what, tenant.group.name);
    }
    done.push_back(go_on(catalog, *begun, online));
    return done;
}

} // namespace

nlohmann::json isolate(pg::Connection& catalog, const IsolateRequest& request, const OnlineWork& online)
{
    check_version(catalog);
    const std::string what = "isolating a key of " + request.table;
    const CommandLock lock(catalog, what);
    check_group_splittable(catalog, group(catalog, distributed_table(catalog, request.table).group));
    nlohmann::json splits = finish_unfinished(catalog, request, what, online);
    Tenant tenant = find_tenant(catalog, request);
    pg::Connection node(catalog::node(catalog, tenant.node).connection("reshard isolate"));
    find_slot(node, tenant);
    const std::vector<std::int64_t> beside = keys_beside(catalog, node, tenant);
    // No finer than helps: the first modulus with as few as the finest has.
    const auto enough = std::find(beside.begin(), beside.end(), beside.back()) - beside.begin();
    const std::uint32_t finest = tenant.group.buckets.modulus(tenant.bucket) << enough;
    if (enough > 0) {
        const Split planned = chain(catalog, tenant, finest);
        splits.push_back(request.dry_run ? describe_split(catalog, planned) : carry_out(catalog, planned, online));
    }
    return {{"table", tenant.table.name.to_string()}, {"group", tenant.group.name}, {"key", request.key},
            {"bucket", tenant.slot % finest},         {"modulus", finest},          {"node", tenant.node},
            {"keys_beside", beside.back()},           {"splits", splits},           {"dry_run", request.dry_run}};
}

} // namespace keyshift::catalog
