// Eight nodes in one daemon: all are streamed, and one that is down does not hold up the others.
#include "tests/daemon/installation.hpp"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace keyshift::test {
namespace {

using testing::HasSubstr;
using Rows = std::map<int, std::string>;

constexpr int kNodes = 8;
constexpr int kDown = 8;

class ManyNodes : public testing::Test {
protected:
    ManyNodes()
    {
        installation_.must({"init"});
        for (int number = 1; number <= kNodes; ++number) {
            databases_.push_back(std::make_unique<TestDatabase>(number % 3 + 1, "many"));
            connect(number).script(fmt::format("CREATE TABLE public.log_{} (id int PRIMARY KEY, line text)", number));
            installation_.must({"node", "add", name(number), "--dsn", database(number).conninfo()});
            installation_.must({"table", "capture", fmt::format("log_{}", number), "--node", name(number)});
        }
    }
    ~ManyNodes() override
    {
        installation_.kill_daemon();
        allow(true);
    }

    static std::string name(int number) { return fmt::format("n{}", number); }
    const TestDatabase& database(int number) const { return *databases_.at(static_cast<std::size_t>(number - 1)); }
    pg::Connection connect(int number) const { return database(number).connect(name(number)); }
    /// One more row, and a change of an earlier one.
    void work(int number, int round) const
    {
        connect(number).script(fmt::format("INSERT INTO public.log_{0} VALUES ({1}, 'new');"
                                           "UPDATE public.log_{0} SET line = 'changed' WHERE id = {1} / 2",
                                           number, round));
    }
    Rows fold(int number) const
    {
        Rows rows;
        for (const kafka::Message& message :
             read_topic(installation_.broker(), fmt::format("{}.public.log_{}", installation_.prefix(), number))) {
            const auto event = nlohmann::json::parse(message.value.value());
            rows[event.at("after").at("id")] = event.at("after").at("line");
        }
        return rows;
    }
    Rows table(int number) const
    {
        Rows rows;
        pg::Connection node = connect(number);
        const pg::Result all = node.query(fmt::format("SELECT id, line FROM public.log_{}", number));
        for (int row = 0; row < all.rows(); ++row) {
            rows[static_cast<int>(all.integer(row, 0))] = all.text(row, 1);
        }
        return rows;
    }
    bool fold_is_table(int number) const
    {
        return comes_true([&] { return fold(number) == table(number); }, 90);
    }
    std::map<std::string, std::string> states() const
    {
        std::map<std::string, std::string> found;
        for (const auto& stream : installation_.json({"cdc", "status"})) {
            found[stream.at("node")] = stream.at("state");
        }
        return found;
    }
    bool streaming(int count) const
    {
        return comes_true(
            [&] {
                const auto all = states();
                return std::ranges::count(all, "streaming", [](const auto& one) { return one.second; }) == count;
            },
            90);
    }
    /// The database of the node that goes down takes connections, or ends those that there are and takes none.
    void allow(bool allowed) const
    {
        pg::Connection server(
            {"test", fmt::format("host=127.0.0.1 port={} user=postgres dbname=postgres", database(kDown).port()), "",
             "test"});
        server.script(fmt::format("ALTER DATABASE {} ALLOW_CONNECTIONS {}", database(kDown).name(), allowed));
        if (!allowed) {
            server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1",
                         {database(kDown).name()});
        }
    }

    Installation installation_;
    std::vector<std::unique_ptr<TestDatabase>> databases_;
};

TEST_F(ManyNodes, EightAreStreamedAndOneThatIsDownHoldsUpNoOther)
{
    installation_.start_daemon();
    ASSERT_TRUE(streaming(kNodes)) << nlohmann::json(states()).dump();
    int round = 1;
    for (; round <= 3; ++round) {
        for (int number = 1; number <= kNodes; ++number) {
            work(number, round);
        }
    }
    for (int number = 1; number <= kNodes; ++number) {
        ASSERT_TRUE(fold_is_table(number)) << name(number);
    }
    allow(false);
    ASSERT_TRUE(comes_true([&] { return states().at(name(kDown)) != "streaming"; }, 60));
    for (; round <= 8; ++round) {
        for (int number = 1; number < kDown; ++number) {
            work(number, round);
        }
        for (int number = 1; number < kDown; ++number) {
            ASSERT_TRUE(fold_is_table(number)) << name(number) << " waits for nobody";
        }
    }
    const auto states_meanwhile = states();
    EXPECT_NE(states_meanwhile.at(name(kDown)), "streaming") << "it was down all the time";
    const std::string metrics = installation_.get("/metrics").body;
    for (int number = 1; number < kDown; ++number) {
        EXPECT_EQ(states_meanwhile.at(name(number)), "streaming");
        for (const char* reason : {"postgres", "transient", "unreachable", "slot_busy"}) {
            EXPECT_THAT(metrics, HasSubstr(fmt::format("keyshift_cdc_reconnects_total{{node=\"{}\",reason=\"{}\"}} 0\n",
                                                       name(number), reason)));
        }
    }
    allow(true);
    work(kDown, round);
    EXPECT_TRUE(fold_is_table(kDown)) << "it goes on where it was";
    EXPECT_TRUE(streaming(kNodes));
    EXPECT_EQ(installation_.stop_daemon(), 0);
}

} // namespace
} // namespace keyshift::test
