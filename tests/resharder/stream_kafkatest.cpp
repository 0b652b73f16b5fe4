/// Moves with everything real: operations, streams of both nodes, the broker.

#include "cdc/node_stream.hpp"
#include "metrics/families.hpp"
#include "resharder/resharder.hpp"
#include "tests/catalog/cluster.hpp"
#include "tests/resharder/writer.hpp"

#include "core/backoff.hpp"
#include "core/change_event.hpp"
#include "core/json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace keyshift::test {
namespace {

using namespace std::chrono_literals;

const char* const kSchema = R"(
CREATE TABLE public.users (user_id bigint PRIMARY KEY, name text NOT NULL);
CREATE TABLE public.posts (user_id bigint REFERENCES public.users ON DELETE CASCADE, post_id bigint, content text, PRIMARY KEY (user_id, post_id));
INSERT INTO public.users SELECT i, 'user ' || i FROM generate_series(1, 500) i;
INSERT INTO public.posts SELECT 1 + i % 500, i, repeat('x', i % 50) FROM generate_series(1, 2000) i;
)";

/// Two nodes with their streams and a resharder, as the daemon wires them.
class LiveCluster {
public:
    LiveCluster()
    {
        cluster_.add_database();
        cluster_.add_database();
        cluster_.connect(0).script(kSchema);
        cluster_.add_node(0);
        cluster_.distribute("users", {"user_id"}, {}, 4);
        cluster_.distribute("posts", {"user_id"}, "users", 4);
        cluster_.add_node(1);
        options_.topic_prefix = catalog::meta(cluster_.catalog(), "topic_prefix");
        options_.kafka = TestServers().kafka();
        start();
    }

    void start()
    {
        metrics_ = std::make_unique<metrics::Metrics>();
        reshard_metrics_ = std::make_unique<metrics::ReshardMetrics>(metrics_->registry());
        pg::ConnectionSettings catalog = cluster_.catalog().settings();
        for (const catalog::Node& node : catalog::nodes(cluster_.catalog())) {
            cdc_metrics_[node.name] = std::make_unique<metrics::CdcMetrics>(metrics_->registry(), node.name);
            streams_[node.name] = std::make_unique<cdc::NodeStream>(node, catalog, options_, *cdc_metrics_[node.name]);
            threads_.emplace_back(
                [stream = streams_[node.name].get()](std::stop_token stop) { stream->run(std::move(stop)); });
        }
        resharder::ReshardOptions options;
        options.grace = 0ms;
        resharder_ = std::make_unique<resharder::Resharder>(
            catalog, [this](const std::string& node) -> cdc::StreamPort* { return streams_.at(node).get(); },
            std::make_shared<resharder::LiveOptions>(options), *reshard_metrics_);
        threads_.emplace_back([this](std::stop_token stop) { resharder_->run(std::move(stop)); });
    }

    /// Until Kafka has all that was committed before.
    void drain()
    {
        for (const auto& [node, stream] : streams_) {
            const Lsn end = connect(node).query("SELECT pg_catalog.pg_current_wal_lsn()").lsn(0, 0);
            EXPECT_TRUE(stream->wait_acknowledged(end, 30s)) << node;
        }
    }

    void stop()
    {
        for (auto thread = threads_.rbegin(); thread != threads_.rend(); ++thread) {
            thread->request_stop();
            thread->join();
        }
        threads_.clear();
        resharder_.reset();
        streams_.clear();
        cdc_metrics_.clear();
    }
    ~LiveCluster() { stop(); }
    LiveCluster(const LiveCluster&) = delete;
    LiveCluster& operator=(const LiveCluster&) = delete;

    bool wait_until(const std::string& query)
    {
        for (int tries = 0; tries < 6000; ++tries) {
            if (one(cluster_.catalog(), query) == "t") {
                return true;
            }
            sleep_for(10ms, std::stop_token());
        }
        ADD_FAILURE() << "never true: " << query << "\n" << resharder::status(cluster_.catalog(), std::nullopt).dump(2);
        return false;
    }

    void reshard(const std::string& to)
    {
        resharder::PlanWish wish;
        wish.to = {to};
        wish.buckets = {0, 1, 2, 3};
        ASSERT_GT(resharder::start(cluster_.catalog(), wish, std::nullopt), 0);
        wait_until("SELECT bool_and(state = 'done') FROM keyshift.job");
    }

    pg::Connection connect(const std::string& node) const { return cluster_.connect(node == "n1" ? 0 : 1); }
    Cluster& cluster() { return cluster_; }
    std::string topic(const std::string& table) const { return data_topic(options_.topic_prefix, "public", table); }

private:
    Cluster cluster_;
    cdc::CdcOptions options_;
    std::unique_ptr<metrics::Metrics> metrics_;
    std::unique_ptr<metrics::ReshardMetrics> reshard_metrics_;
    std::map<std::string, std::unique_ptr<metrics::CdcMetrics>> cdc_metrics_;
    std::map<std::string, std::unique_ptr<cdc::NodeStream>> streams_;
    std::unique_ptr<resharder::Resharder> resharder_;
    std::vector<std::jthread> threads_;
};

/// Rows of users over both nodes, of the buckets each owns.
std::map<std::int64_t, std::string> users_of(const LiveCluster& live)
{
    std::map<std::int64_t, std::string> users;
    for (const char* node : {"n1", "n2"}) {
        const auto rows = live.connect(node).query(
            "SELECT user_id, name FROM public.users WHERE keyshift.owns('public.users', user_id::text)");
        for (int row = 0; row < rows.rows(); ++row) {
            users[rows.integer(row, 0)] += rows.text(row, 1);
        }
    }
    return users;
}

/// Last event per key wins; checks that no key's position goes back.
std::map<std::int64_t, std::string> fold_users(const LiveCluster& live)
{
    std::map<std::int64_t, std::string> users;
    std::map<std::int64_t, SourcePosition> last;
    for (const kafka::Message& message : read_topic(TestServers().kafka(), live.topic("users"), 500)) {
        const std::int64_t user = nlohmann::json::parse(*message.key).at("user_id");
        if (!message.value) {
            users.erase(user);
            continue;
        }
        const auto position = SourcePosition::parse(message.header(kHeaderPosition).value());
        EXPECT_TRUE(position.has_value());
        EXPECT_GE(*position, last[user]) << "user " << user;
        last[user] = *position;
        const auto value = nlohmann::json::parse(*message.value);
        if (value.at("op") == "d") {
            users.erase(user);
        } else {
            users[user] = value.at("after").at("name");
        }
    }
    return users;
}

TEST(LiveMove, KeepsEveryWriteOnceAndTheTopicInOrderThereAndBack)
{
    LiveCluster live;
    ASSERT_TRUE(live.wait_until("SELECT bool_and(state = 'done') FROM keyshift.snapshot"));
    const auto connect = [&](const std::string& node) {
        return live.connect(node);
    };
    Writer first(connect, 1);
    Writer second(connect, 2);
    live.reshard("n2");
    live.reshard("n1");
    first.stop();
    second.stop();
    for (Writer* writer : {&first, &second}) {
        EXPECT_THAT(writer->errors(), testing::IsEmpty());
        EXPECT_GT(writer->redirected(), 0);
        EXPECT_EQ(writer->lost(), "");
    }
    live.drain();
    live.stop();
    EXPECT_EQ(fold_users(live), users_of(live));
    EXPECT_EQ(one(live.cluster().catalog(),
                  "SELECT count(*) FROM keyshift.bucket_history WHERE epoch IN (1, 2) AND fence_lsn IS NULL"),
              "0");
    RecordProperty("write_block_ms", one(live.cluster().catalog(), "SELECT max(write_block_ms) FROM keyshift.move"));
}

TEST(LiveMove, GoesOnWhenStreamsAndMoverAreRestartedInTheMiddle)
{
    LiveCluster live;
    ASSERT_TRUE(live.wait_until("SELECT bool_and(state = 'done') FROM keyshift.snapshot"));
    Writer writer([&](const std::string& node) { return live.connect(node); }, 1);
    resharder::PlanWish wish;
    wish.to = {"n2"};
    wish.buckets = {0, 1, 2, 3};
    resharder::start(live.cluster().catalog(), wish, std::nullopt);
    for (const char* state : {"catching_up", "attached", "settling"}) {
        live.wait_until(std::string("SELECT count(*) > 0 FROM keyshift.move WHERE state IN ('done', '") + state + "')");
        live.stop();
        live.start();
    }
    live.wait_until("SELECT bool_and(state = 'done') FROM keyshift.job");
    writer.stop();
    EXPECT_THAT(writer.errors(), testing::IsEmpty());
    EXPECT_EQ(writer.lost(), "");
    live.drain();
    live.stop();
    EXPECT_EQ(fold_users(live), users_of(live));
}

} // namespace
} // namespace keyshift::test
