/// A second daemon beside the one that works, and what happens when that is killed, or only asleep.

#include "core/change_event.hpp"
#include "tests/daemon/installation.hpp"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <map>
#include <set>
#include <thread>

namespace keyshift::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

/// Table public.log captured, the daemon running; false: its rows are still being read into the topic.
bool start_with_log(Installation& installation)
{
    installation.set_up();
    installation.connect().script("CREATE TABLE public.log (id bigint PRIMARY KEY, line text)");
    installation.must({"table", "capture", "log"});
    installation.start_daemon();
    return comes_true([&] {
        return installation.connect().query("SELECT FROM keyshift.snapshot WHERE state <> 'done'").rows() == 0;
    });
}

/// `keyshift run` beside the installation's own daemon.
class SecondDaemon {
public:
    explicit SecondDaemon(const Installation& installation) : port_(free_port())
    {
        program_ = std::make_unique<BackgroundProgram>(
            std::vector<std::string>{keyshift_binary(), "--config", installation.config_file(), "run", "--set",
                                     fmt::format("http.listen=127.0.0.1:{}", port_)});
    }
    HttpReply get(const std::string& target) const { return http_get(port_, target); }
    BackgroundProgram& program() { return *program_; }
    int stop()
    {
        program_->signal(SIGTERM);
        return program_->wait();
    }

private:
    int port_;
    std::unique_ptr<BackgroundProgram> program_;
};

TEST(Standby, ASecondDaemonStandsByAndSaysForWhom)
{
    Installation installation;
    installation.set_up();
    installation.start_daemon();
    SecondDaemon second(installation);
    const std::string first = fmt::format("pid {}", installation.daemon().pid());
    ASSERT_TRUE(second.program().wait_for_output("standby: the daemon with " + first));
    ASSERT_TRUE(comes_true([&] { return second.get("/readyz").status == 200; }));
    EXPECT_THAT(second.get("/readyz").body, AllOf(HasSubstr("standby"), HasSubstr(first)));
    const auto status = installation.json({"status"});
    EXPECT_EQ(status.at("daemon").at("pid"), installation.daemon().pid());
    EXPECT_EQ(status.at("daemon").at("standbys").size(), 1U);
    EXPECT_TRUE(installation.daemon().running());
    EXPECT_EQ(second.stop(), 0) << "a standby ends like any daemon";
}

/// A writer that updates few rows again and again, so that an event out of order would be seen; paced, since the whole topic
/// is folded again and again.
class Load {
public:
    explicit Load(const Installation& installation)
        : thread_([connection = installation.connect(), this](std::stop_token stop) mutable {
              while (!stop.stop_requested()) {
                  connection.script(
                      "INSERT INTO public.log SELECT i, clock_timestamp()::text FROM generate_series(1, 50) i "
                      "ON CONFLICT (id) DO UPDATE SET line = excluded.line; SELECT pg_catalog.pg_sleep(0.02)");
                  ++rounds_;
              }
          })
    {
    }
    int rounds() const { return rounds_; }

private:
    std::atomic<int> rounds_ = 0;
    std::jthread thread_;
};

/// The topic's last value of each key is the table's row, and no key ever went back but by an exact repeat.
void expect_topic_equals_log(const Installation& installation)
{
    const auto rows = [&] {
        std::map<std::string, std::string> found;
        pg::Connection connection = installation.connect();
        const pg::Result all = connection.query("SELECT id, line FROM public.log");
        for (int row = 0; row < all.rows(); ++row) {
            found.emplace(fmt::format(R"({{"id":{}}})", all.text(row, 0)), all.text(row, 1));
        }
        return found;
    }();
    std::map<std::string, std::string> folded;
    const auto fold = [&] {
        folded.clear();
        for (const kafka::Message& message :
             read_topic(installation.servers().kafka(), installation.prefix() + ".public.log")) {
            folded[message.key.value()] = nlohmann::json::parse(message.value.value()).at("after").at("line");
        }
        return folded == rows;
    };
    EXPECT_TRUE(comes_true(fold, 60));
    EXPECT_EQ(folded, rows);
    std::map<std::string, SourcePosition> newest;
    std::set<std::string> seen;
    for (const kafka::Message& message :
         read_topic(installation.servers().kafka(), installation.prefix() + ".public.log")) {
        const SourcePosition position = SourcePosition::parse(message.header(kHeaderPosition).value()).value();
        if (seen.insert(*message.key + position.to_string()).second) {
            EXPECT_TRUE(!newest.contains(*message.key) || newest[*message.key] < position) << message.offset;
        }
        newest[*message.key] = position;
    }
}

bool streams(const SecondDaemon& daemon)
{
    return comes_true(
        [&] {
            const HttpReply reply = daemon.get("/readyz");
            return reply.status == 200 && reply.body == "ok\n" &&
                   daemon.get("/v1/status").body.find("streaming") != std::string::npos;
        },
        60);
}

TEST(Standby, AStandbyGoesOnWhenTheOtherIsKilledUnderLoad) // INV-CDC-2
{
    Installation installation;
    ASSERT_TRUE(start_with_log(installation));
    SecondDaemon second(installation);
    ASSERT_TRUE(second.program().wait_for_output("standby: "));
    {
        const Load load(installation);
        ASSERT_TRUE(comes_true([&] { return load.rounds() > 20; }));
        installation.kill_daemon();
        ASSERT_TRUE(second.program().wait_for_output("is claimed"));
        ASSERT_TRUE(streams(second));
        const int then = load.rounds();
        ASSERT_TRUE(comes_true([&] { return load.rounds() > then + 20; }));
    }
    expect_topic_equals_log(installation);
    EXPECT_EQ(second.stop(), 0);
}

TEST(Standby, ADaemonThatSleptFindsItsPlaceTakenAndDoesNoHarm) // INV-CDC-2
{
    Installation installation;
    ASSERT_TRUE(start_with_log(installation));
    SecondDaemon second(installation);
    ASSERT_TRUE(second.program().wait_for_output("standby: "));
    {
        const Load load(installation);
        ASSERT_TRUE(comes_true([&] { return load.rounds() > 20; }));
        ASSERT_EQ(::kill(installation.daemon().pid(), SIGSTOP), 0);
        ASSERT_TRUE(second.program().wait_for_output("has given no sign of life"));
        ASSERT_TRUE(second.program().wait_for_output("is claimed"));
        EXPECT_TRUE(second.program().wait_for_output("of an earlier daemon: it is ended"));
        ASSERT_TRUE(streams(second));
        ASSERT_EQ(::kill(installation.daemon().pid(), SIGCONT), 0);
        ASSERT_TRUE(installation.daemon().wait_for_output("this daemon ends"));
        EXPECT_TRUE(comes_true([&] { return !installation.daemon().running(); }));
        const int then = load.rounds();
        ASSERT_TRUE(comes_true([&] { return load.rounds() > then + 20; }));
    }
    EXPECT_TRUE(second.program().running());
    expect_topic_equals_log(installation);
    EXPECT_EQ(second.stop(), 0);
}

} // namespace
} // namespace keyshift::test
