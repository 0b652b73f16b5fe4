// A captured table becomes a distributed one while it is written and its changes go to Kafka: the topic misses nothing.
#include "tests/e2e/fold.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace keyshift::test {
namespace {

constexpr int kRows = 5000;

class DistributeOnline : public ::testing::Test {
protected:
    void SetUp() override
    {
        installation_.must({"init"});
        installation_.connect().script(
            fmt::format("CREATE TABLE public.accounts (user_id bigint PRIMARY KEY, balance bigint NOT NULL, note text);"
                        "INSERT INTO public.accounts SELECT i, 100, repeat('n', 100) FROM generate_series(1, {}) i",
                        kRows));
        installation_.add_node(1);
        installation_.must({"table", "capture", "accounts"});
        installation_.start_daemon();
    }

    /// Transfers that keep the sum, on the one node that has the rows.
    void transfer(const std::stop_token& stop)
    {
        pg::Connection node = installation_.connect();
        for (int turn = 0; !stop.stop_requested(); ++turn) {
            const int from = 1 + turn * 17 % kRows;
            const int to = 1 + turn * 31 % kRows;
            try {
                node.script(fmt::format("BEGIN; UPDATE public.accounts SET balance = balance - 1 WHERE user_id = {};"
                                        "UPDATE public.accounts SET balance = balance + 1 WHERE user_id = {}; COMMIT",
                                        from, to));
                ++transferred_;
            } catch (const pg::TransientSqlError&) {
                node.script("ROLLBACK");
            }
        }
    }

    void expect_topic_equals_table(int nodes)
    {
        const auto rows = table_rows(installation_, "accounts", "user_id", nodes);
        Fold fold;
        EXPECT_TRUE(comes_true([&] {
            fold = fold_topic(installation_, "accounts");
            std::map<std::string, std::string> folded;
            for (const auto& [identity, row] : fold.rows) {
                folded[nlohmann::json::parse(identity).dump()] = row;
            }
            return folded == rows;
        })) << fold.rows.size()
            << " folded, " << rows.size() << " in the tables";
        EXPECT_EQ(fold.backward, 0);
    }

    Installation installation_{2};
    std::atomic<int> transferred_ = 0;
};

TEST_F(DistributeOnline, GoesOnInTheSameTopicThroughACrashOfTheDaemonAndAMove)
{
    {
        const std::jthread writer([&](const std::stop_token& stop) { transfer(stop); });
        ASSERT_TRUE(comes_true([&] { return transferred_ > 50; }));
        const auto done = installation_.json({"table", "distribute", "accounts", "--key", "user_id", "--buckets", "8"});
        EXPECT_EQ(done.at("group"), "accounts");
        installation_.kill_daemon();
        installation_.start_daemon();
        const int then = transferred_;
        ASSERT_TRUE(comes_true([&] { return transferred_ > then + 50; }));
    }
    EXPECT_EQ(installation_.connect().query("SELECT sum(balance) FROM public.accounts").integer(0, 0), 100 * kRows);
    expect_topic_equals_table(1);
    installation_.add_node(2);
    installation_.must({"reshard", "start", "--wait", "--timeout", "120s"});
    expect_topic_equals_table(2);
    EXPECT_EQ(installation_.json({"doctor"}), nlohmann::json::array());
}

TEST_F(DistributeOnline, AndBackAgainAfterMovesGoesOnInTheSameTopic)
{
    installation_.must({"table", "distribute", "accounts", "--key", "user_id", "--buckets", "8"});
    installation_.add_node(2);
    installation_.must({"reshard", "start", "--wait", "--timeout", "120s"});
    installation_.must({"node", "drain", "n2", "--wait", "--timeout", "120s"});
    {
        const std::jthread writer([&](const std::stop_token& stop) { transfer(stop); });
        ASSERT_TRUE(comes_true([&] { return transferred_ > 50; }));
        EXPECT_TRUE(comes_true(
            [&] {
                return installation_.keyshift({"table", "undistribute", "accounts", "--yes"}).status == 0;
            },
            120));
        const int then = transferred_;
        ASSERT_TRUE(comes_true([&] { return transferred_ > then + 50; }));
    }
    EXPECT_EQ(installation_.connect().query("SELECT sum(balance) FROM public.accounts").integer(0, 0), 100 * kRows);
    std::map<std::string, std::string> rows;
    const pg::Result all = installation_.connect().query("SELECT user_id, row_to_json(a)::text FROM public.accounts a");
    for (int row = 0; row < all.rows(); ++row) {
        rows[fmt::format("{{\"user_id\":{}}}", all.text(row, 0))] = nlohmann::json::parse(all.text(row, 1)).dump();
    }
    Fold fold;
    EXPECT_TRUE(comes_true([&] {
        fold = fold_topic(installation_, "accounts");
        std::map<std::string, std::string> folded;
        for (const auto& [identity, row] : fold.rows) {
            folded[nlohmann::json::parse(identity).dump()] = row;
        }
        return folded == rows;
    })) << fold.rows.size();
    EXPECT_EQ(fold.backward, 0);
}

} // namespace
} // namespace keyshift::test
