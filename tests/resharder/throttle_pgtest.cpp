// What holds moves back beside their own rate, on real servers, with the reason shown and gone when the limit goes.
#include "resharder/throttle.hpp"
#include "tests/resharder/two_nodes.hpp"
#include "tests/support/private_postgres.hpp"

#include "core/backoff.hpp"
#include "core/json.hpp"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

using namespace std::chrono_literals;
using resharder::LiveOptions;
using resharder::NodeLoad;
using resharder::ReshardOptions;
using testing::HasSubstr;

/// The reason once there is one, or "" once there is none, as wanted.
std::string waited_for(NodeLoad& load, bool wanted)
{
    std::string why;
    for (int tries = 0; tries < 600; ++tries) {
        why = load.too_much().value_or("");
        if (why.empty() != wanted) {
            return why;
        }
        sleep_for(50ms, {});
    }
    ADD_FAILURE() << "still: " << why;
    return why;
}

TEST(Throttle, AStandbyThatIsBehindHoldsUntilItHasCaughtUp)
{
    PrivatePostgres primary({"synchronous_commit = local"});
    PrivatePostgres standby(primary, {"hot_standby = on"});
    pg::Connection node(primary.settings());
    pg::Connection replica(standby.settings());
    const auto options = std::make_shared<LiveOptions>(ReshardOptions{});
    NodeLoad load(options, node, "n1", "none");
    node.script("CREATE TABLE public.t (x text)");
    while (replica
               .query("SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn",
                      {node.query("SELECT pg_current_wal_flush_lsn()").text(0, 0)})
               .text(0, 0) != "t") {
        sleep_for(20ms, {});
    }
    replica.query("SELECT pg_wal_replay_pause()");
    node.script("INSERT INTO public.t SELECT repeat('x', 1000) FROM generate_series(1, 2000)");
    EXPECT_EQ(load.too_much(), std::nullopt) << "no limit";
    ReshardOptions limited;
    limited.max_replica_lag = 1'000'000;
    options->change(limited);
    EXPECT_THAT(waited_for(load, true), HasSubstr("throttled: node n1 has standby "));
    EXPECT_THAT(load.too_much().value_or(""), HasSubstr("bytes behind (reshard.max_replica_lag = 1000000)"));
    replica.query("SELECT pg_wal_replay_resume()");
    EXPECT_EQ(waited_for(load, false), "");

    node.script("CREATE ROLE blind LOGIN");
    pg::Connection blind(
        {"n1", fmt::format("host=127.0.0.1 port={} user=blind dbname=postgres", primary.port()), "", "test"});
    replica.query("SELECT pg_wal_replay_pause()");
    node.script("INSERT INTO public.t SELECT repeat('x', 1000) FROM generate_series(1, 2000)");
    NodeLoad unseen(options, blind, "n1", "none");
    EXPECT_EQ(unseen.too_much(), std::nullopt) << "what is not shown holds nothing back";
    node.script("GRANT pg_read_all_stats TO blind");
    EXPECT_THAT(waited_for(unseen, true), HasSubstr("bytes behind"));
    replica.query("SELECT pg_wal_replay_resume()");
}

/// A move that is held by `limited` before it has copied everything, and done once the limit is gone.
void held_and_let_go(TwoNodes& cluster, const ReshardOptions& limited, const std::string& state, const std::string& why)
{
    TwoNodes::Running running(cluster, limited);
    const std::int64_t job = cluster.start({1}, "n2");
    cluster.wait_until("n1", "SELECT state = '" + state + "' AND waiting_for LIKE 'throttled: %' FROM keyshift.move");
    pg::Connection catalog = cluster.connect("n1");
    EXPECT_THAT(resharder::status(catalog, job).dump(), HasSubstr(why));
    EXPECT_THAT(resharder::explain(catalog, job).dump(), HasSubstr(why));
    ReshardOptions free = limited;
    free.max_wal_rate = free.max_retained_wal = free.max_replica_lag = free.max_copy_rate = 0;
    running.change(free);
    EXPECT_EQ(cluster.wait_job(job), "done");
    EXPECT_EQ(cluster.value("n1", "SELECT waiting_for IS NULL FROM keyshift.move"), "t");
}

TEST(Throttle, TheWalOfANodeIsWrittenAsFastAsIsAllowed)
{
    TwoNodes cluster;
    cluster.load(1000, 300'000);
    ReshardOptions limited;
    limited.max_wal_rate = 1000;
    limited.max_copy_rate = 200'000; // it takes longer than a look
    held_and_let_go(cluster, limited, "copying",
                    "has written more WAL than its rate allows (reshard.max_wal_rate = 1000)");
}

TEST(Throttle, NoCopyBeginsToOrFromANodeWhoseSlotKeepsTooMuch)
{
    TwoNodes cluster;
    cluster.load(100, 100);
    cluster.connect("n2").script("CREATE TABLE public.fill AS SELECT repeat('x', 1000) FROM generate_series(1, 3000)");
    ReshardOptions limited;
    limited.max_retained_wal = 1'000'000;
    held_and_let_go(cluster, limited, "copying", "bytes of WAL for slot ");
}

} // namespace
} // namespace keyshift::test
