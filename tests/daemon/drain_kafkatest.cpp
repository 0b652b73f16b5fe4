/// From one node to another and out of the cluster, as an operator types it.

#include "tests/daemon/installation.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

using ::testing::HasSubstr;

TEST(DrainCommand, ADrainedNodeCanBeRemovedAndItsJobTakenBackBeforeThat)
{
    Installation installation(1);
    installation.set_up();
    installation.connect().script("CREATE TABLE public.users (user_id bigint PRIMARY KEY, name text);"
                                  "INSERT INTO public.users SELECT i, 'user ' || i FROM generate_series(1, 500) i");
    installation.must({"table", "distribute", "users", "--key", "user_id", "--buckets", "4", "--offline"});
    installation.add_node(2);
    installation.start_daemon({{"KEYSHIFT_RESHARD__GRACE", "0s"}});
    ASSERT_TRUE(comes_true([&] {
        return installation.connect().query("SELECT bool_and(state = 'done') FROM keyshift.snapshot").boolean(0, 0);
    }));
    installation.must({"reshard", "start", "--to", "n2", "--buckets", "0,1,2,3", "--wait", "--timeout", "2min"});
    installation.must({"reshard", "rollback", "1", "--wait", "--timeout", "2min"});
    EXPECT_EQ(installation.connect().query("SELECT count(*) FROM public.users").integer(0, 0), 500);
    installation.must({"reshard", "start", "--to", "n2", "--buckets", "1,2", "--wait", "--timeout", "2min"});

    const Finished planned = installation.keyshift({"node", "drain", "n2", "--dry-run"});
    EXPECT_THAT(planned.out, HasSubstr("node n2 is drained"));
    const Finished drained = installation.keyshift({"node", "drain", "n2", "--wait", "--timeout", "2min"});
    ASSERT_EQ(drained.status, 0) << drained.err;
    EXPECT_THAT(drained.err, HasSubstr("next: keyshift node remove n2 --yes"));
    EXPECT_EQ(installation.json({"node", "show", "n2"}).at("state"), "draining");
    EXPECT_EQ(installation.json({"node", "show", "n2"}).at("buckets"), 0);
    EXPECT_EQ(installation.json({"reshard", "list"}).back().at("drains"), "n2");
    Finished removed;
    EXPECT_TRUE(comes_true([&] {
        removed = installation.keyshift({"node", "remove", "n2", "--yes"});
        return removed.status == 0;
    })) << removed.err;
    EXPECT_EQ(installation.connect().query("SELECT count(*) FROM public.users").integer(0, 0), 500);
    EXPECT_EQ(installation.json({"node", "list"}).size(), 1U);
}

TEST(Reload, ARunningCopyGoesOnAtTheNewRate)
{
    Installation installation(1);
    installation.set_up();
    installation.connect().script(
        "CREATE TABLE public.users (user_id bigint PRIMARY KEY, name text);"
        "INSERT INTO public.users SELECT i, repeat('x', 100) FROM generate_series(1, 20000) i");
    installation.must({"table", "distribute", "users", "--key", "user_id", "--buckets", "2", "--offline"});
    installation.connect().script("UPDATE keyshift.snapshot SET state = 'done'");
    installation.add_node(2);
    installation.directory().write("keyshift.toml",
                                   installation.config_text("[reshard]\nmax_copy_rate = \"2000\"\n")); // minutes
    installation.start_daemon();
    installation.must({"reshard", "start"});
    const auto move = [&] {
        return installation.json({"reshard", "status"}).at("moves").at(0);
    };
    ASSERT_TRUE(comes_true([&] { return move().at("state") == "copying" && move().at("bytes") > 0; }));
    const std::string snapshot(installation.connect().query("SELECT copy_snapshot FROM keyshift.move").text(0, 0));
    installation.directory().write("keyshift.toml", installation.config_text("[reshard]\nmax_copy_rate = \"0\"\n"));
    installation.must({"reload"});
    EXPECT_TRUE(comes_true(
        [&] {
            return installation.json({"reshard", "status"}).at("state") == "done";
        },
        60))
        << installation.json({"reshard", "status"});
    EXPECT_EQ(installation.connect().query("SELECT copy_snapshot FROM keyshift.move").text(0, 0), snapshot)
        << "the copy was not begun again";
}

} // namespace
} // namespace keyshift::test
