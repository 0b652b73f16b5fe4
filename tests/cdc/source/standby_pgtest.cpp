// Behind a synchronous standby a commit is in the WAL, and with the stream, long before anybody sees it.
#include "core/json.hpp"
#include "tests/cdc/source/stream_fixture.hpp"
#include "tests/support/private_postgres.hpp"

#include "catalog/operations.hpp"

#include <thread>

namespace keyshift::test {
namespace {

std::map<std::string, std::string> newest(const FakeKafka& kafka)
{
    std::map<std::string, std::string> rows;
    for (const FakeEvent& event : kafka.events("public.items")) {
        rows[event.key] = event.after.at("name");
    }
    return rows;
}

TEST(SynchronousStandby, ARowThatTheStreamHasAndNobodySeesYetIsNotReadWithItsOldValue)
{
    FakeKafka& kafka = FakeKafka::instance();
    kafka.reset();
    // The session that waits for the standby says so itself; no standby ever comes.
    PrivatePostgres postgres({"synchronous_standby_names = 'nobody'", "synchronous_commit = local"});
    pg::Connection catalog(postgres.settings("catalog"));
    catalog::init(catalog, "own", "own", false);
    catalog.script("CREATE TABLE public.items (id int PRIMARY KEY, name text); "
                   "INSERT INTO public.items SELECT i, 'old' FROM generate_series(1, 100) i");
    catalog::add_node(catalog, {"n1", postgres.conninfo(), "", false});
    catalog::capture(catalog, {"items"}, false, {}, false);
    cdc::CdcOptions options;
    options.topic_prefix = "own";
    options.heartbeat_interval = std::chrono::milliseconds(200);
    RunningStream running(catalog::node(catalog, "n1"), postgres.settings("catalog"), options);
    ASSERT_TRUE(eventually([&] { return one(catalog, "SELECT state FROM keyshift.snapshot") == "done"; }));

    const std::jthread writer([&] {
        pg::Connection waiting(postgres.settings());
        waiting.script("SET synchronous_commit = on");
        waiting.script("UPDATE public.items SET name = 'new' WHERE id = 7");
    });
    ASSERT_TRUE(eventually([&] { return newest(kafka)["7"] == "new"; })) << "the stream has it";
    ASSERT_EQ(one(catalog, "SELECT name FROM public.items WHERE id = 7"), "old") << "and nobody sees it";
    catalog::snapshot_again(catalog, {"items", "", {}, false});
    // It is tried: its chunks are read, and read again.
    ASSERT_TRUE(eventually(
        [&] { return one(catalog, "SELECT state = 'running' AND ranges IS NOT NULL FROM keyshift.snapshot") == "t"; }));
    EXPECT_EQ(newest(kafka)["7"], "new");
    EXPECT_EQ(one(catalog, "SELECT rows FROM keyshift.snapshot"), "0");
    catalog.script("ALTER SYSTEM SET synchronous_standby_names = ''");
    catalog.script("SELECT pg_reload_conf()");
    ASSERT_TRUE(eventually([&] { return one(catalog, "SELECT state FROM keyshift.snapshot") == "done"; }));
    EXPECT_EQ(kafka.events("public.items").size(), 100U + 1U + 100U);
    EXPECT_EQ(newest(kafka)["7"], "new");
}

} // namespace
} // namespace keyshift::test
