// What others do to the broker while a stream writes to it: deleted topics, more partitions, rights that are missing. Each
// time the fold of the topic must be the table in the end, or the stream says why it does not go on.
#include "core/change_event.hpp"
#include "tests/daemon/installation.hpp"
#include "tests/support/kafka_tool.hpp"
#include "tests/support/private_kafka.hpp"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <map>

namespace keyshift::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using Rows = std::map<std::string, std::string>;

class BrokerFaults : public testing::Test {
protected:
    void set_up()
    {
        installation_.set_up();
        node_.emplace(installation_.connect());
        node_->script("CREATE TABLE public.log (id bigint PRIMARY KEY, line text)");
        installation_.must({"table", "capture", "log"});
        node_->script("UPDATE keyshift.snapshot SET state = 'done'");
    }
    /// Rows come, change and go.
    void work()
    {
        const int begin = next_;
        next_ += 1000;
        node_->script(
            fmt::format("INSERT INTO public.log SELECT i, 'line' FROM generate_series({}, {}) i", begin, begin + 199));
        node_->script(fmt::format("UPDATE public.log SET line = 'again' WHERE id % 3 = 0 AND id >= {}", begin));
        node_->script(fmt::format("DELETE FROM public.log WHERE id BETWEEN {} AND {}", begin + 10, begin + 19));
    }
    /// The last event of each key, by position: partitions may be read in any order.
    Rows fold() const
    {
        std::map<std::string, std::pair<SourcePosition, std::optional<std::string>>> newest;
        for (const kafka::Message& message : read_topic(installation_.broker(), topic())) {
            if (!message.value) {
                continue;
            }
            const auto position = SourcePosition::parse(message.header(kHeaderPosition).value()).value();
            const auto event = nlohmann::json::parse(*message.value);
            auto& [at, line] = newest[nlohmann::json::parse(*message.key).at("id").dump()];
            if (position >= at) {
                at = position;
                line = event.at("after").is_null() ? std::nullopt
                                                   : std::optional<std::string>(event.at("after").at("line"));
            }
        }
        Rows rows;
        for (const auto& [id, event] : newest) {
            if (event.second) {
                rows[id] = *event.second;
            }
        }
        return rows;
    }
    Rows table()
    {
        Rows rows;
        const pg::Result all = node_->query("SELECT id, line FROM public.log");
        for (int row = 0; row < all.rows(); ++row) {
            rows[std::string(all.text(row, 0))] = all.text(row, 1);
        }
        return rows;
    }
    bool fold_is_table(int seconds = 90)
    {
        return comes_true([&] { return fold() == table(); }, seconds);
    }
    nlohmann::json stream() const { return installation_.json({"cdc", "status"}).at(0); }
    bool fails_with(const std::string& words)
    {
        return comes_true(
            [&] {
                const auto status = stream();
                return !status.at("error").is_null() && status.at("error").dump().find(words) != std::string::npos;
            },
            90);
    }
    std::string topic() const { return installation_.prefix() + ".public.log"; }

    Installation installation_;
    std::optional<pg::Connection> node_;
    int next_ = 0;
};

TEST_F(BrokerFaults, ADeletedTopicIsMadeAgainAndGetsWhatComesFromThenOn)
{
    set_up();
    installation_.start_daemon();
    work();
    ASSERT_TRUE(fold_is_table());
    delete_topic(installation_.broker(), topic());
    work();
    ASSERT_TRUE(comes_true([&] { return fold().contains("1000"); }, 120)) << stream().dump();
    EXPECT_FALSE(fold().contains("1")) << "it was really gone";
    EXPECT_TRUE(installation_.daemon().wait_for_output("it is made again")) << installation_.daemon().output();
    installation_.must({"cdc", "snapshot", "log", "--wait", "--timeout", "120s"});
    EXPECT_TRUE(fold_is_table());
    EXPECT_EQ(kafka::Admin(installation_.broker(), "test").partitions(topic()), 2);
    EXPECT_EQ(installation_.stop_daemon(), 0);
}

TEST_F(BrokerFaults, MorePartitionsAreRefusedUntilTheyAreAccepted) // INV-CDC-2
{
    set_up();
    const Environment often{{"KEYSHIFT_KAFKA__TOPIC_METADATA_REFRESH_INTERVAL_MS", "500"}};
    installation_.start_daemon(often);
    work();
    ASSERT_TRUE(fold_is_table());
    ASSERT_EQ(installation_.stop_daemon(), 0);

    set_partitions(installation_.broker(), topic(), 3);
    installation_.start_daemon(often);
    work();
    ASSERT_TRUE(fails_with("it had 2 partitions and has 3 now")) << stream().dump();
    EXPECT_EQ(stream().at("state"), "stopped");
    EXPECT_FALSE(fold().contains("1000")) << "nothing was written";
    installation_.must({"reload"});
    ASSERT_TRUE(comes_true([&] {
        const std::string text = installation_.daemon().output();
        const std::string words = "stopped, looks again in";
        const std::size_t first = text.find(words);
        return first != std::string::npos && text.find(words, first + 1) != std::string::npos;
    })) << "to look again does not change its mind";
    installation_.must({"cdc", "accept-partitions", topic()});
    // A stopped stream tries again by itself once a minute.
    ASSERT_TRUE(fold_is_table(30)) << stream().dump();

    set_partitions(installation_.broker(), topic(), 6);
    ASSERT_TRUE(comes_true(
        [&] {
            work();
            return stream().at("state") == "stopped";
        },
        90));
    EXPECT_TRUE(fails_with("it had 3 partitions and has")) << stream().dump();
    work();
    installation_.must({"cdc", "accept-partitions", topic()});
    // A stopped stream tries again by itself once a minute.
    ASSERT_TRUE(fold_is_table(30)) << stream().dump();
    EXPECT_EQ(installation_.stop_daemon(), 0);
}

TEST_F(BrokerFaults, ATopicThatMayNotBeWrittenNamesTheRightAndGoesOnWhenItIsGiven)
{
    const PrivateKafka broker({"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                               "allow.everyone.if.no.acl.found=true"});
    installation_.use_broker(broker.settings());
    set_up();
    const auto allow = [&](const std::vector<std::string>& operations) {
        std::vector<std::string> arguments{"--add", "--allow-principal", "User:ANONYMOUS", "--topic", topic()};
        for (const std::string& operation : operations) {
            arguments.insert(arguments.end(), {"--operation", operation});
        }
        kafka_tool(broker.settings(), "kafka.admin.AclCommand", arguments);
    };
    installation_.start_daemon();
    work();
    ASSERT_TRUE(fold_is_table());
    // With one rule for the topic, what no rule allows is denied.
    allow({"Describe", "DescribeConfigs", "Read", "Create"});
    work();
    ASSERT_TRUE(fails_with("AUTHORIZATION_FAILED")) << stream().dump();
    const auto error = stream().at("error");
    EXPECT_THAT(error.at("what"), HasSubstr(topic()));
    EXPECT_THAT(error.at("next"), AllOf(HasSubstr("Write"), HasSubstr("kafka-acls"), HasSubstr(topic())));
    work();
    EXPECT_NE(fold(), table());
    allow({"Write"});
    installation_.must({"reload"});
    EXPECT_TRUE(fold_is_table()) << stream().dump();
    EXPECT_EQ(installation_.stop_daemon(), 0);
}

TEST_F(BrokerFaults, ADaemonThatStillLooksForItsPositionAtADeadBrokerStopsInTime)
{
    PrivateKafka broker;
    installation_.use_broker(broker.settings());
    set_up();
    installation_.start_daemon();
    work();
    ASSERT_TRUE(fold_is_table());
    EXPECT_EQ(installation_.stop_daemon(), 0);
    broker.kill();
    BackgroundProgram daemon({keyshift_binary(), "--config", installation_.config_file(), "run"});
    ASSERT_TRUE(daemon.wait_for_output("stream starts")) << daemon.output();
    ASSERT_TRUE(daemon.wait_for_output("Connection refused")) << "it asks for the last progress record";
    daemon.signal(SIGTERM);
    EXPECT_EQ(daemon.wait(std::chrono::seconds(10)), 0) << daemon.output();
}

} // namespace
} // namespace keyshift::test
