// docs/upgrade.md: a node of another version takes over all buckets under writes. With `--postgres 15,18` the first server is
// the old one.
#include "tests/e2e/fold.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace keyshift::test {
namespace {

constexpr int kRows = 2000;

/// Writes each row on the node that takes it, following KS001.
class Application {
public:
    explicit Application(const Installation& installation)
        : installation_(installation), thread_([this](std::stop_token stop) { run(stop); })
    {
    }
    ~Application() { stop(); }
    Application(const Application&) = delete;
    Application& operator=(const Application&) = delete;

    void stop()
    {
        if (thread_.joinable()) {
            thread_.request_stop();
            thread_.join();
        }
    }

    std::atomic<int> written = 0;

private:
    void run(const std::stop_token& stop)
    {
        pg::Connection old = installation_.connect(1);
        pg::Connection fresh = installation_.connect(2);
        for (int turn = 0; !stop.stop_requested(); ++turn) {
            const int id = 1 + turn * 17 % kRows;
            while (!write(old, id, turn) && !write(fresh, id, turn)) {
            }
            ++written;
        }
    }

    static bool write(pg::Connection& node, int id, int turn)
    try {
        return node
                   .query(fmt::format("UPDATE public.users SET turn = {} WHERE user_id = {} AND "
                                      "keyshift.must_own('public.users', {}::bigint)",
                                      turn, id, id))
                   .affected() == 1;
    } catch (const pg::SqlError& error) {
        if (error.sqlstate() != "KS001") {
            throw;
        }
        return false;
    } catch (const pg::TransientSqlError&) {
        return false;
    }

    const Installation& installation_;
    std::jthread thread_;
};

TEST(Upgrade, MovesEverythingToANewNodeUnderWritesAndTheOldOneGoes)
{
    Installation installation(2);
    installation.must({"init"});
    installation.connect().script(
        fmt::format("CREATE TABLE public.users (user_id bigint PRIMARY KEY, name text, turn int);"
                    "INSERT INTO public.users SELECT i, 'user ' || i FROM generate_series(1, {}) i",
                    kRows));
    installation.add_node(1);
    installation.must({"table", "distribute", "users", "--key", "user_id", "--buckets", "8"});
    installation.start_daemon({{"KEYSHIFT_RESHARD__GRACE", "0s"}});
    ASSERT_TRUE(comes_true([&] {
        return installation.connect().query("SELECT bool_and(state = 'done') FROM keyshift.snapshot").boolean(0, 0);
    }));
    installation.add_node(2);
    Application application(installation);
    ASSERT_TRUE(comes_true([&] { return application.written > 20; }));
    installation.must({"node", "drain", "n1", "--wait", "--timeout", "3min"});
    EXPECT_EQ(installation.keyshift({"reshard", "verify"}).status, 0);
    const int then = application.written;
    EXPECT_TRUE(comes_true([&] { return application.written > then + 20; }));
    application.stop();
    EXPECT_TRUE(comes_true([&] { return installation.keyshift({"node", "remove", "n1", "--yes"}).status == 0; }));
    pg::Connection fresh = installation.connect(2);
    std::map<std::string, std::string> rows;
    const pg::Result all = fresh.query("SELECT user_id, row_to_json(u)::text FROM public.users u");
    for (int row = 0; row < all.rows(); ++row) {
        rows[fmt::format("{{\"user_id\":{}}}", all.text(row, 0))] = nlohmann::json::parse(all.text(row, 1)).dump();
    }
    EXPECT_EQ(rows.size(), static_cast<std::size_t>(kRows));
    EXPECT_TRUE(comes_true([&] {
        const Fold fold = fold_topic(installation, "users");
        std::map<std::string, std::string> folded;
        for (const auto& [identity, row] : fold.rows) {
            folded[nlohmann::json::parse(identity).dump()] = row;
        }
        return folded == rows && fold.backward == 0;
    }));
    EXPECT_EQ(installation.json({"node", "list"}).size(), 1U);
}

} // namespace
} // namespace keyshift::test
