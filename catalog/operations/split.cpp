#include "catalog/operations/split.hpp"

#include "catalog/node_access.hpp"
#include "catalog/rows.hpp"
#include "catalog/split/carry_out.hpp"
#include "core/error.hpp"
#include "core/json.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keyshift::catalog {

namespace {

/// By its own name, or by that of one of its tables.
Group find_group(pg::Connection& catalog, const SplitRequest& request)
{
    std::vector<Group> all = groups(catalog);
    std::erase_if(all, [](const Group& one) { return one.projection; });
    std::vector<std::string> names;
    for (const Group& one : all) {
        names.push_back(one.name);
    }
    const std::string what = request.bucket ? fmt::format("splitting bucket {}", *request.bucket) : "splitting buckets";
    if (request.group.empty()) {
        if (all.size() == 1) {
            return all.front();
        }
        throw RefusedError(
            {what, all.empty() ? "no table is distributed" : "there are several groups, each with buckets of its own",
             all.empty() ? "Begin with `keyshift table distribute`."
                         : "Add --group with one of these, or with the name of a table: " + join(names) + "."});
    }
    const QualifiedName table = QualifiedName::parse(request.group);
    for (const CapturedTable& one : tables(catalog)) {
        if (one.name == table && !one.group.empty()) {
            return group(catalog, one.group);
        }
    }
    return group(catalog, request.group);
}

/// Halves of these buckets, checked.
std::vector<Split> plan(pg::Connection& catalog, const Group& group, const std::vector<BucketId>& buckets)
{
    std::vector<Split> splits;
    for (const BucketId bucket : buckets) {
        const std::string what = fmt::format("splitting bucket {} of {}", number(bucket), group.name);
        if (!group.buckets.contains(bucket)) {
            throw RefusedError({what, fmt::format("the group has no such bucket; it has {}", group.buckets.count()),
                                "`keyshift table show` lists the buckets of a table."});
        }
        const std::uint32_t modulus = group.buckets.modulus(bucket);
        if (modulus == BucketLayout::kFinest) {
            throw RefusedError({what, fmt::format("its modulus is {}, the finest there is", modulus),
                                "Its tables' hottest keys would need another shard key, or a node of their own."});
        }
        splits.push_back(plan_split(catalog, group, bucket, {BucketId{number(bucket) + modulus}}));
    }
    return splits;
}

/// Of the smallest modulus; a doubling that was interrupted in `begun` goes on with those that it had not reached.
std::vector<BucketId> coarsest(const BucketLayout& layout, const std::optional<Split>& begun)
{
    const std::uint32_t modulus = begun ? number(begun->made.front()) - number(begun->bucket) : layout.coarsest();
    std::vector<BucketId> buckets;
    for (const BucketId bucket : layout.numbers()) {
        if (layout.modulus(bucket) == modulus) {
            buckets.push_back(bucket);
        }
    }
    return buckets;
}

OnlineWork part_of(const OnlineWork& online, std::size_t done, std::size_t all, const Split& split)
{
    return {[&online, done, all, subject = split.subject()](double part, const std::string& text) {
                online.show((static_cast<double>(done) + part) / static_cast<double>(all), subject + ": " + text);
            },
            online.stop};
}

} // namespace

nlohmann::json split(pg::Connection& catalog, const SplitRequest& request, const OnlineWork& online)
{
    check_version(catalog);
    const CommandLock lock(catalog, "reshard split");
    Group of = find_group(catalog, request);
    nlohmann::json result{{"group", of.name}, {"splits", nlohmann::json::array()}, {"dry_run", request.dry_run}};
    const auto begun = unfinished_split(catalog, of.name);
    if (begun && request.bucket && number(begun->bucket) != *request.bucket) {
        refuse_unfinished_split(catalog, fmt::format("splitting bucket {} of {}", *request.bucket, of.name), of.name);
    }
    check_group_splittable(catalog, of);
    if (begun) {
        result["splits"].push_back(request.dry_run ? describe_split(catalog, *begun) : go_on(catalog, *begun, online));
        of = group(catalog, of.name);
    }
    if (!begun || !request.bucket) {
        const std::vector<Split> splits =
            plan(catalog, of, request.bucket ? std::vector{BucketId{*request.bucket}} : coarsest(of.buckets, begun));
        for (std::size_t i = 0; i < splits.size(); ++i) {
            result["splits"].push_back(
                request.dry_run ? describe_split(catalog, splits[i])
                                : carry_out(catalog, splits[i], part_of(online, i, splits.size(), splits[i])));
        }
    }
    result["buckets"] = group(catalog, of.name).buckets.count();
    return result;
}

} // namespace keyshift::catalog
