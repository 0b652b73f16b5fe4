// Copies of reference tables stay exact, whatever dies or comes twice.
#include "core/change_event.hpp"
#include "tests/e2e/reference_fixture.hpp"
#include "tests/support/private_postgres.hpp"

#include <thread>

namespace keyshift::test {
namespace {

using ::testing::HasSubstr;

/// Inserts, deletes, changes of keys and unique numbers back and forth, and transfers whose sum is constant.
std::jthread writer(pg::Connection connection)
{
    return std::jthread([connection = std::move(connection)](std::stop_token stop) mutable {
        for (int turn = 0; !stop.stop_requested(); ++turn) {
            const std::string n = std::to_string(turn);
            connection.script(
                "BEGIN; UPDATE public.countries SET amount = amount - 5 WHERE code = 'C' || (1 + " + n +
                " % 300); "
                "UPDATE public.countries SET amount = amount + 5 WHERE code = 'C' || (1 + (" +
                n +
                " * 7 + 3) % 300); COMMIT; "
                "INSERT INTO public.countries (code, number, name, parent) VALUES ('N" +
                n + "', 1000 + " + n +
                ", 'new', 'C5'); "
                "BEGIN; UPDATE public.countries SET number = -number WHERE code IN ('C1', 'C2'); "
                "UPDATE public.countries SET number = 3 + number WHERE code = 'C1'; UPDATE public.countries SET number = 3 + number WHERE code = 'C2'; COMMIT; "
                "INSERT INTO public.countries (code, number, parent) VALUES ('K" +
                n + "', 500000 + " + n + ", 'P" + n + "'), ('P" + n + "', 900000 + " + n +
                ", NULL); "
                "DELETE FROM public.countries WHERE code = 'K" +
                n +
                "'; "
                "UPDATE public.countries SET code = 'M' || " +
                n + " WHERE code = 'P" + n +
                "'; "
                "DELETE FROM public.countries WHERE code IN ('N' || (" +
                n + " - 20), 'M' || (" + n + " - 20))");
        }
    });
}

TEST_F(ReferenceTable, EveryCopyIsTheTableUnderWritesKillsAndRestarts)
{
    const std::string sum = one(home, "SELECT sum(amount) FROM public.countries");
    {
        const std::jthread writing = writer(installation.connect(1));
        installation.start_daemon({{"KEYSHIFT_FAILPOINTS", "reference.filling=kill@1"}});
        installation.must({"table", "reference", "countries"});
        ASSERT_EQ(installation.daemon().wait(std::chrono::seconds(60)), 128 + SIGKILL);
        struck("reference.committing=kill@2");
        struck("reference.committing=kill@9");
        installation.connect(2).query("UPDATE keyshift.local_reference SET complete_lsn = NULL, state = 'filling'");
        struck("reference.fill.read=kill@1");
        installation.start_daemon();
        ASSERT_TRUE(live()) << shown() << installation.daemon().output();
        pg::Connection copy = installation.connect(2);
        for (int look = 0; look < 50; ++look) {
            EXPECT_EQ(one(copy, "SELECT sum(amount) FROM public.countries"), sum) << "a copy shows whole transactions";
        }
        pg::Connection(installation.database(2).settings())
            .query(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'keyshift%' AND pid <> pg_backend_pid()");
    }
    EXPECT_TRUE(same(2)) << shown() << installation.daemon().output();
    EXPECT_TRUE(same(3)) << shown();
    EXPECT_THAT(shown(), HasSubstr(R"("conflicts":0)"));
}

TEST_F(ReferenceTable, AServerThatRestartsAndRecordsThatComeTwiceChangeNothing)
{
    PrivatePostgres server({"wal_level = logical"});
    installation.must({"node", "add", "n4", "--dsn", server.conninfo()});
    installation.start_daemon();
    installation.must({"table", "reference", "countries", "--wait"});
    const auto there = [&] {
        pg::Connection copy(server.settings());
        return content(copy) == content(home);
    };
    {
        const std::jthread writing = writer(installation.connect(1));
        ASSERT_EQ(server.stop("immediate"), 0);
        home.script("UPDATE public.countries SET name = 'while it was away' WHERE code = 'C77'");
        EXPECT_TRUE(comes_true([&] {
            pg::Connection copy = installation.connect(2);
            return one(copy, "SELECT name FROM public.countries WHERE code = 'C77'") == "while it was away";
        })) << "a node that is away holds up no other";
        server.start();
    }
    EXPECT_TRUE(same(2)) << shown() << installation.daemon().output();
    EXPECT_TRUE(comes_true(there, 90)) << shown();
    const std::string topic = data_topic(installation.prefix(), "public", "countries");
    kafka::Producer producer(installation.broker(), "test", 64U << 20U, std::chrono::milliseconds(0),
                             [](const kafka::Delivery&) {});
    for (const kafka::Message& message : read_topic(installation.broker(), topic)) {
        std::vector<kafka::Header> headers;
        for (const auto& [name, value] : message.headers) {
            headers.push_back({name, value});
        }
        while (!producer.try_produce({topic, message.partition, message.key, message.value, headers, 0})) {
            producer.poll(std::chrono::milliseconds(10));
        }
    }
    ASSERT_TRUE(producer.flush(std::chrono::seconds(30)));
    home.script("UPDATE public.countries SET name = 'behind all of these' WHERE code = 'C78'");
    EXPECT_TRUE(comes_true(there, 90)) << shown();
    EXPECT_TRUE(same(2)) << shown();
    EXPECT_EQ(content(home), content(home));
}

TEST_F(ReferenceTable, ATransactionBeyondTheMemoryLimitIsTakenFromTheRows)
{
    installation.start_daemon();
    installation.must({"table", "reference", "countries", "--wait"});
    home.script(
        "BEGIN; UPDATE public.countries SET amount = amount + 1; INSERT INTO public.countries (code, number, notes) "
        "SELECT 'L' || i, 10000 + i, repeat(md5(i::text), 40) FROM generate_series(1, 12000) i; DELETE FROM public.countries WHERE code < 'C2'; COMMIT; "
        "UPDATE public.countries SET name = 'last' WHERE code = 'L1'");
    EXPECT_TRUE(same(2)) << shown();
    EXPECT_TRUE(same(3)) << shown();
    EXPECT_THAT(installation.daemon().output(), HasSubstr("than fit into memory"));
}

} // namespace
} // namespace keyshift::test
