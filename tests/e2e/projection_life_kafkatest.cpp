// The life of a projection through the program alone, as docs/interface.md says it.
#include "tests/daemon/installation.hpp"
#include "tests/support/process.hpp"

#include "core/change_event.hpp"
#include "core/kafka/client.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <csignal>
#include <fstream>
#include <stdexcept>

namespace keyshift::test {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class ProjectionLife : public ::testing::Test {
protected:
    void SetUp() override
    {
        installation_.set_up();
        installation_.connect().script(
            "CREATE TABLE public.likes (post_id bigint, like_id bigint, user_id bigint NOT NULL, PRIMARY KEY (post_id, like_id)); "
            "INSERT INTO public.likes SELECT i % 50, i, i % 20 FROM generate_series(1, 400) i");
        installation_.must({"table", "distribute", "likes", "--key", "post_id", "--buckets", "4", "--offline"});
        installation_.start_daemon();
        installation_.must({"projection", "create", "by_user", "--key", "user_id", "--buckets", "4", "--sql",
                            "SELECT user_id, like_id FROM likes", "--apply", "--wait", "--timeout", "60s"});
    }

    /// A record that Keyshift did not write, of the row (1, like).
    void produce(int like, const std::string& value, const std::string& position)
    {
        kafka::Producer producer(installation_.broker(), "test", 1U << 20U, 0ms, [](const kafka::Delivery&) {});
        const std::string topic = data_topic(installation_.prefix(), "public", "likes");
        const std::string key = R"({"post_id":1,"like_id":)" + std::to_string(like) + "}";
        const std::array headers{kafka::Header{kHeaderOrigin, "n1/0"}, kafka::Header{kHeaderPosition, position}};
        ASSERT_TRUE(producer.try_produce({topic, std::nullopt, key, value, headers, 0}));
        ASSERT_TRUE(producer.flush(10s));
    }

    Installation installation_;
};

TEST_F(ProjectionLife, RejectionsAreListedShownTriedAgainAndDropped)
{
    produce(7001, "{", "1/900000000000/0");
    produce(7002, R"({"before":null,"after":{"post_id":1,"like_id":7002,"user_id":null},"op":"c"})",
            "1/900000000000/1");
    ASSERT_TRUE(comes_true([&] { return installation_.json({"rejections", "list", "by_user"}).size() == 2; }));
    EXPECT_EQ(installation_.json({"projection", "show", "by_user"}).at("rejections"), 2);
    const auto first = installation_.json({"rejections", "list"}).at(0);
    EXPECT_THAT(installation_.keyshift({"rejections", "list"}).out, HasSubstr("bad_json"));
    const std::string id = first.at("id").dump();
    EXPECT_EQ(installation_.json({"rejections", "show", id}).at("value"), "{");
    EXPECT_EQ(installation_.keyshift({"rejections", "retry", id}).status, 6);
    EXPECT_EQ(installation_.keyshift({"rejections", "retry"}).status, 2);
    EXPECT_EQ(installation_.keyshift({"rejections", "drop", id}).status, 2) << "without --yes";
    installation_.must({"rejections", "drop", id, "--yes"});
    installation_.must({"rejections", "drop", "--projection", "by_user", "--yes"});
    EXPECT_EQ(installation_.json({"projection", "show", "by_user"}).at("rejections"), 0);
    EXPECT_EQ(installation_.keyshift({"rejections", "drop", id, "--yes"}).status, 5);
    EXPECT_THAT(installation_.get("/metrics").body,
                HasSubstr(R"(keyshift_projection_rejections_total{projection="by_user",reason="bad_json"} 1)"));
}

TEST_F(ProjectionLife, IsPausedRepairedExplainedAndRebuilt)
{
    installation_.must({"projection", "pause", "by_user"});
    ASSERT_TRUE(comes_true([&] { return installation_.json({"projection", "list"}).at(0).at("state") == "paused"; }));
    installation_.connect().script("UPDATE public.likes SET user_id = 77 WHERE like_id = 7");
    installation_.must({"projection", "resume", "by_user"});
    installation_.connect().script("SELECT keyshift.wait_for('public.by_user', keyshift.token(), '60 s')");
    EXPECT_EQ(installation_.connect().query("SELECT user_id FROM public.by_user WHERE like_id = 7").text(0, 0), "77");
    installation_.connect().script("DELETE FROM keyshift.by_user__g1 WHERE like_id = 8");
    EXPECT_EQ(installation_.keyshift({"projection", "verify", "by_user"}).status, 6);
    EXPECT_EQ(installation_.json({"projection", "repair", "by_user"}).at("repaired"), 1);
    EXPECT_EQ(installation_.keyshift({"projection", "verify", "by_user"}).status, 0);
    const auto explained = installation_.json({"projection", "explain", "by_user", "77"});
    EXPECT_TRUE(explained.at("rows").at(0).at("made_by").contains("offset")) << explained.dump(2);
    EXPECT_THAT(installation_.keyshift({"projection", "explain", "by_user", "77"}).out,
                HasSubstr("made the row as it is"));
    EXPECT_EQ(installation_.keyshift({"projection", "explain", "by_user", "x"}).status, 2);
    installation_.must({"projection", "rebuild", "by_user", "--wait", "--timeout", "120s"});
    EXPECT_EQ(installation_.json({"projection", "show", "by_user"}).at("generation"), 2);
    EXPECT_EQ(installation_.keyshift({"projection", "verify", "by_user"}).status, 0);
    EXPECT_EQ(installation_.json({"route", "by_user", "77"}).at("node"), "n1");
    installation_.must({"projection", "drop", "by_user", "--yes"});
    EXPECT_EQ(installation_.json({"projection", "list"}).size(), 0U);
}

TEST_F(ProjectionLife, IsSampledForEverUntilASignalEndsIt)
{
    const auto sampler = [&] {
        return std::vector<std::string>{keyshift_binary(), "--config", installation_.config_file(),
                                        "projection",      "verify",   "by_user",
                                        "--sample",        "--rate",   "100000"};
    };
    EXPECT_EQ(installation_.keyshift({"projection", "verify", "by_user", "--sample", "--rate", "0"}).status, 2);
    BackgroundProgram healthy(sampler());
    ASSERT_TRUE(healthy.wait_for_output(R"("missing":0)"));
    installation_.connect().script("UPDATE public.likes SET user_id = 78 WHERE like_id % 2 = 0");
    healthy.signal(SIGINT);
    EXPECT_EQ(healthy.wait(), 0) << healthy.output();
    BackgroundProgram sampled(sampler());
    ASSERT_TRUE(sampled.wait_for_output(R"("missing":0)"));
    installation_.connect().script("DELETE FROM keyshift.by_user__g1 WHERE like_id = 8");
    ASSERT_TRUE(sampled.wait_for_output(R"("missing":1)")) << "a pass that comes later";
    EXPECT_TRUE(sampled.wait_for_output("projection repair by_user"));
    sampled.signal(SIGTERM);
    EXPECT_EQ(sampled.wait(), 6) << sampled.output();
}

/// Two nodes, a projection on both, and a daemon whose moves leave nothing frozen behind for long.
class RebuiltProjection : public ::testing::Test {
protected:
    void SetUp() override
    {
        installation_.set_up();
        installation_.add_node(2);
        installation_.connect().script(
            "CREATE TABLE public.likes (post_id bigint, like_id bigint, user_id bigint NOT NULL, PRIMARY KEY (post_id, like_id)); "
            "INSERT INTO public.likes SELECT i % 50, i, i % 20 FROM generate_series(1, 400) i");
        installation_.must({"table", "distribute", "likes", "--key", "post_id", "--buckets", "4", "--offline"});
    }

    void start(Environment environment = {})
    {
        environment["KEYSHIFT_RESHARD__GRACE"] = "1s";
        installation_.start_daemon(environment);
    }

    void create()
    {
        installation_.must({"projection", "create", "by_user", "--key", "user_id", "--buckets", "4", "--sql",
                            "SELECT user_id, like_id FROM likes", "--apply", "--wait", "--timeout", "60s"});
    }

    /// The second generation serves alone, on both nodes, and is right.
    void expect_rebuilt()
    {
        EXPECT_TRUE(comes_true(
            [&] {
                return installation_.connect()
                    .query("SELECT count(*) = 1 AND min(generation) = 2 AND bool_and(serving) FROM keyshift.projection")
                    .boolean(0, 0);
            },
            120))
            << installation_.json({"projection", "show", "by_user"}).dump(2);
        EXPECT_EQ(installation_.keyshift({"projection", "verify", "by_user"}).status, 0);
        for (const int node : {1, 2}) {
            EXPECT_EQ(installation_.connect(node)
                          .query("SELECT count(*) FROM pg_class WHERE relname LIKE 'by\\_user\\_\\_g1%'")
                          .integer(0, 0),
                      0);
        }
    }

    Installation installation_{1};
};

TEST_F(RebuiltProjection, IsFinishedByTheNextDaemonWhereverThisOneDies)
{
    start();
    create();
    installation_.stop_daemon();
    installation_.must({"projection", "rebuild", "by_user", "--keep", "0s"});
    for (const std::string failpoint : {"projection.succession.node", "projection.succession.recorded"}) {
        try {
            start({{"KEYSHIFT_FAILPOINTS", failpoint + "=kill"}});
        } catch (const std::runtime_error&) { // it died before it was ready
        }
        ASSERT_TRUE(comes_true([&] { return !installation_.daemon().running(); }, 60)) << failpoint;
        EXPECT_THAT(installation_.daemon().output(), HasSubstr("failpoint " + failpoint + " fired"));
    }
    start();
    expect_rebuilt();
}

TEST_F(RebuiltProjection, IsVerifiedThoughItTakesItsPlaceMeanwhile)
{
    start();
    create();
    const std::string go = installation_.directory().path() + "/go";
    BackgroundProgram verify(
        {keyshift_binary(), "--config", installation_.config_file(), "projection", "verify", "by_user"},
        {{"KEYSHIFT_FAILPOINTS", "projection.verify.read=wait:" + go}});
    ASSERT_TRUE(verify.wait_for_output("failpoint projection.verify.read fired"));
    installation_.must({"projection", "rebuild", "by_user", "--keep", "0s"});
    expect_rebuilt();
    std::ofstream(go).close();
    EXPECT_EQ(verify.wait(60s), 0) << verify.output();
}

TEST_F(RebuiltProjection, MovesWithItsBucketsWhileItIsBuilt)
{
    start();
    create();
    installation_.stop_daemon();
    installation_.must({"projection", "rebuild", "by_user", "--keep", "0s"});
    installation_.must({"reshard", "start", "--drain", "n1"});
    start();
    EXPECT_TRUE(comes_true(
        [&] {
            return installation_.json({"reshard", "status"}).at("state") == "done";
        },
        120))
        << installation_.json({"reshard", "status"}).dump(2);
    expect_rebuilt();
    EXPECT_EQ(installation_.connect(2).query("SELECT count(*) FROM public.by_user").integer(0, 0), 400);
}

} // namespace
} // namespace keyshift::test
