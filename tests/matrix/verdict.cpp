#include "tests/matrix/verdict.hpp"

#include "tests/resharder/placement_queries.hpp"

#include <fmt/core.h>

namespace keyshift::test {

std::string judge_nodes(const FaultyCluster& cluster, int bucket, int owner)
{
    if (cluster.owner(bucket) != owner) {
        return "the catalog names the other node";
    }
    for (const int node : {1, 2}) {
        const std::string open = cluster.value(
            node,
            fmt::format("SELECT state FROM keyshift.local_bucket WHERE group_name = 'users' AND bucket = {}", bucket));
        if ((open == "open") != (node == owner)) {
            return fmt::format("INV-MOV-1: node {} has the bucket as {}", node, open);
        }
        const std::string unchecked = cluster.value(
            node,
            "SELECT string_agg(format('%s of %s', conname, conrelid::regclass), ', ') FROM pg_constraint WHERE NOT convalidated");
        if (!unchecked.empty()) {
            return fmt::format("INV-MOV-2: not valid on node {}: {}", node, unchecked);
        }
        const std::string orphans = cluster.value(
            node,
            "SELECT count(*) FROM public.posts p LEFT JOIN public.users u USING (user_id) WHERE u.user_id IS NULL");
        if (orphans != "0") {
            return fmt::format("{} posts of node {} have no user", orphans, node);
        }
        const std::string left = cluster.value(node, kLeftovers);
        if (!left.empty()) {
            return fmt::format("INV-MOV-2: left on node {}: {}", node, left);
        }
        if (!cluster.comes_true(
                node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name LIKE 'keyshift move %'")) {
            return fmt::format("INV-MOV-2: a session of the move is left on node {}", node);
        }
        const std::string now = cluster.value(node, "SELECT pg_current_wal_lsn()");
        if (!cluster.comes_true(node,
                                fmt::format("SELECT count(*) = 1 AND bool_and(active AND confirmed_flush_lsn >= '{}') "
                                            "FROM pg_replication_slots",
                                            now))) {
            return fmt::format("INV-MOV-2: the slot of node {} is held, or is not the only one", node);
        }
    }
    return "";
}

std::string judge_rows(const Bank& bank, TopicWatch& watch)
{
    const auto errors = bank.errors();
    if (!errors.empty()) {
        return "a client was told: " + errors.front();
    }
    if (const std::string lost = bank.lost(); !lost.empty()) {
        return lost;
    }
    const auto accounts = bank.accounts();
    if (!watch.reaches(accounts)) {
        return "INV-CDC-2: the topic's last events are not the rows:" + watch.difference(accounts);
    }
    return watch.disorder().empty() ? "" : "INV-CDC-2: " + watch.disorder();
}

} // namespace keyshift::test
