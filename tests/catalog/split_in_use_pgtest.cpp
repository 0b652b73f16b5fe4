// `reshard split` under writers who know what they were told, and killed at each step (docs/adr/0022).
#include "tests/catalog/split_group.hpp"

#include "catalog/operations/ddl.hpp"
#include "core/error.hpp"
#include "tests/support/process.hpp"

#include <gmock/gmock.h>

#include <atomic>
#include <csignal>
#include <map>
#include <memory>
#include <random>
#include <thread>
#include <utility>

namespace keyshift::test {
namespace {

using testing::HasSubstr;

/// Moves money between accounts, and knows each account's balance.
class Bank {
public:
    Bank(pg::Connection connection, std::int64_t number, bool strict)
        : connection_(std::move(connection)), number_(number), strict_(strict),
          random_(static_cast<unsigned>(number) + 1), thread_([this](std::stop_token stop) { run(stop); })
    {
    }

    void stop()
    {
        thread_.request_stop();
        thread_.join();
    }

    std::map<std::int64_t, std::int64_t> balances;
    std::map<std::int64_t, std::int64_t> bookings;
    std::atomic<int> written = 0;
    int repeated = 0;
    std::string error;

private:
    static constexpr std::int64_t kBanks = 3;

    void run(const std::stop_token& stop)
    try {
        for (std::int64_t user = kBanks + number_; user <= kUsers; user += kBanks) {
            balances[user] = 0;
            bookings[user] = 3;
        }
        while (!stop.stop_requested()) {
            step();
            ++written;
        }
    } catch (const std::exception& failed) {
        error = failed.what();
    }

    std::int64_t pick()
    {
        return number_ + kBanks * (1 + static_cast<std::int64_t>(random_() % ((kUsers - 3) / kBanks)));
    }

    void step()
    {
        auto changed = balances;
        auto booked = bookings;
        try {
            connection_.script(strict_ ? "BEGIN ISOLATION LEVEL REPEATABLE READ" : "BEGIN");
            change(changed, booked);
            const bool kept = random_() % 4 != 0;
            connection_.script(kept ? "COMMIT" : "ROLLBACK");
            if (kept) {
                balances = std::move(changed);
                bookings = std::move(booked);
            }
        } catch (const pg::TransientSqlError&) {
            connection_.script("ROLLBACK");
            ++repeated;
        }
    }

    void change(std::map<std::int64_t, std::int64_t>& changed, std::map<std::int64_t, std::int64_t>& booked)
    {
        const std::int64_t from = pick();
        const std::int64_t to = pick();
        if (changed.contains(from) && changed.contains(to)) {
            const auto amount = static_cast<std::int64_t>(random_() % 100);
            book(from, -amount);
            book(to, amount);
            changed[from] -= amount;
            changed[to] += amount;
            ++booked[from];
            ++booked[to];
        }
        if (const std::int64_t user = pick();
            random_() % 4 == 0 && user != from && user != to && changed.contains(user)) {
            expect(fmt::format("DELETE FROM public.users WHERE user_id = {}", user)); // and its bookings
            changed.erase(user);
            booked.erase(user);
        } else if (!changed.contains(user)) {
            expect(fmt::format("INSERT INTO public.users (user_id, name) VALUES ({}, 'again')", user));
            changed[user] = 0;
            booked[user] = 0;
        }
    }

    void book(std::int64_t user, std::int64_t amount)
    {
        expect(fmt::format(
            "UPDATE public.users SET balance = balance + {} WHERE user_id = {} AND keyshift.must_own('public.users', {}::bigint)",
            amount, user, user));
        expect(fmt::format("INSERT INTO public.bookings (user_id, amount) VALUES ({}, {})", user, amount));
    }

    void expect(const std::string& statement)
    {
        if (connection_.query(statement).affected() != 1) {
            throw std::runtime_error("no row: " + statement);
        }
    }

    pg::Connection connection_;
    std::int64_t number_;
    bool strict_;
    std::minstd_rand random_;
    std::jthread thread_;
};

TEST_F(Split, keeps_every_acknowledged_write_once)
{
    std::vector<std::unique_ptr<Bank>> banks;
    for (std::int64_t number = 0; number < 3; ++number) {
        banks.push_back(std::make_unique<Bank>(cluster.connect(0), number, number == 1));
    }
    int before = 0;
    for (const std::uint32_t bucket : {1U, 2U, 1U}) {
        split(bucket);
        int now = 0;
        for (const auto& bank : banks) {
            now += bank->written;
        }
        EXPECT_GT(now, before) << "nobody wrote during the split of " << bucket;
        before = now;
    }
    std::map<std::int64_t, std::int64_t> balances;
    std::map<std::int64_t, std::int64_t> bookings;
    for (const auto& bank : banks) {
        bank->stop();
        EXPECT_EQ(bank->error, "");
        balances.merge(bank->balances);
        bookings.merge(bank->bookings);
    }
    expect_right("0,1,2,3,5,6,9");
    pg::Connection n1 = cluster.connect(0);
    std::map<std::int64_t, std::int64_t> found;
    std::map<std::int64_t, std::int64_t> counted;
    const pg::Result rows =
        n1.query("SELECT user_id, balance, (SELECT count(*) FROM public.bookings b WHERE b.user_id = u.user_id), "
                 "balance = (SELECT coalesce(sum(amount), 0) FROM public.bookings b WHERE b.user_id = u.user_id) "
                 "FROM public.users u WHERE user_id >= 3");
    for (int row = 0; row < rows.rows(); ++row) {
        found[rows.integer(row, 0)] = rows.integer(row, 1);
        counted[rows.integer(row, 0)] = rows.integer(row, 2);
        EXPECT_TRUE(rows.boolean(row, 3)) << rows.integer(row, 0);
    }
    EXPECT_EQ(found, balances);
    EXPECT_EQ(counted, bookings);
}

TEST_F(Split, follows_a_truncate)
{
    bool done = false;
    const catalog::OnlineWork meanwhile{
        [&](double, const std::string&) {
            if (!std::exchange(done, true)) {
                cluster.connect(0).script(
                    "TRUNCATE public.users, public.bookings;"
                    "INSERT INTO public.users SELECT n, 'new' FROM generate_series(1, 50) n;"
                    "INSERT INTO public.bookings (user_id, amount) SELECT user_id, 1 FROM public.users");
            }
        },
        {}};
    split(1, meanwhile);
    EXPECT_TRUE(done);
    expect_right("0,1,2,3,5");
    pg::Connection n1 = cluster.connect(0);
    EXPECT_EQ(one(n1, "SELECT count(*) || ',' || (SELECT count(*) FROM public.bookings) FROM public.users"), "50,50");
}

class CrashOfSplit : public testing::TestWithParam<const char*> {};

TEST_P(CrashOfSplit, is_finished_by_a_second_run)
{
    Cluster cluster;
    cluster.add_database().connect().script(
        "CREATE TABLE public.t (k bigint PRIMARY KEY, v int); INSERT INTO public.t SELECT n, n FROM generate_series(1, 100) n;"
        "CREATE TABLE public.c (k bigint REFERENCES public.t, n int, PRIMARY KEY (k, n)); INSERT INTO public.c SELECT k, 1 FROM public.t");
    cluster.add_database();
    cluster.add_node(0);
    cluster.add_node(1);
    cluster.distribute("t", {"k"}, "", 4);
    cluster.distribute("c", {"k"}, "t", 4);
    cluster.catalog().script("UPDATE keyshift.snapshot SET state = 'done'");
    const auto died = run_program({KEYSHIFT_CATALOG_COMMAND, cluster.catalog().settings().conninfo, "split", "t", "2"},
                                  {{"KEYSHIFT_FAILPOINTS", std::string(GetParam()) + "=kill"}});
    EXPECT_EQ(died.status, 128 + SIGKILL);
    pg::Connection n1 = cluster.connect(0);
    n1.script(
        "INSERT INTO public.t VALUES (101, 1); UPDATE public.t SET v = v + 1; DELETE FROM public.c WHERE k = 9; DELETE FROM public.t WHERE k = 9");
    const auto refused = [&](auto command) {
        try {
            command();
            return std::string("done");
        } catch (const RefusedError& error) {
            return std::string(error.what());
        }
    };
    EXPECT_THAT(refused([&] { catalog::ddl(cluster.catalog(), {"ALTER TABLE t ADD COLUMN x int"}); }),
                HasSubstr("keyshift reshard split --group t --bucket 2"));
    EXPECT_THAT(refused([&] { catalog::split(cluster.catalog(), {1, "t", false}); }), HasSubstr("--bucket 2"));
    const Json done = catalog::split(cluster.catalog(), {2, "t", false});
    EXPECT_EQ(done["splits"].size(), 1U);
    EXPECT_EQ(done["buckets"], 5);
    EXPECT_EQ(one(n1, "SELECT count(*) || ',' || sum(v) FROM public.t"), "100,5142");
    EXPECT_EQ(
        one(n1,
            "SELECT count(*) FROM public.t WHERE tableoid <> to_regclass('public.t_b' || keyshift.bucket_of('public.t', k::text))"),
        "0");
    EXPECT_EQ(
        one(cluster.catalog(), "SELECT string_agg(bucket || ':' || epoch, ' ' ORDER BY bucket) FROM keyshift.bucket"),
        "0:1 1:1 2:2 3:1 6:2");
    EXPECT_EQ(one(cluster.catalog(), "SELECT string_agg(state, ' ') FROM keyshift.split"), "done");
    EXPECT_EQ(one(n1, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'keyshift\\_copy%'"), "0");
    EXPECT_EQ(found_by_doctor(cluster.catalog()), Json::array());
}
INSTANTIATE_TEST_SUITE_P(failpoints, CrashOfSplit,
                         testing::Values("split.begun.persisted", "split.twin.made", "split.twins.followed",
                                         "online.fill.chunk", "split.twins.complete", "split.swap.before_commit",
                                         "split.owner.persisted", "split.catalog.persisted",
                                         "split.placeholders.persisted"));

} // namespace
} // namespace keyshift::test
