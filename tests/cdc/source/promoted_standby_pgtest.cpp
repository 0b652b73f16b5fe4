#include "catalog/operations.hpp"
#include "core/json.hpp"
#include "tests/cdc/source/own_slot.hpp"

#include <gmock/gmock.h>

#include <algorithm>

namespace keyshift::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

class PromotedStandby : public OwnSlot {
protected:
    PromotedStandby() : OwnSlot({"hot_standby_feedback = on"}) {}

    void replayed(PrivatePostgres& standby)
    {
        const std::string end(
            pg::Connection(postgres_.settings()).query("SELECT pg_catalog.pg_current_wal_lsn()").text(0, 0));
        pg::Connection replica(standby.settings());
        ASSERT_TRUE(eventually(
            [&] {
                return replica.query("SELECT pg_catalog.pg_last_wal_replay_lsn() >= $1::pg_lsn", {end}).boolean(0, 0);
            },
            60s));
    }

    long told_gaps()
    {
        const std::vector<std::string> controls = kafka_.controls();
        return std::ranges::count_if(controls,
                                     [](const std::string& one) { return one.starts_with("{\"type\":\"gap\""); });
    }

    bool reaches(Lsn lsn)
    {
        return eventually([&] { return kafka_.progress("n1").value_or(Lsn{}) >= lsn; }, 60s);
    }

    /// The primary's stream has run, and ended.
    bool captures_one()
    {
        const auto running = start(postgres_);
        pg::Connection(postgres_.settings()).script("INSERT INTO public.items VALUES (1, 'before')");
        return arrives("1");
    }

    /// The standby has all that was written, the primary is gone, and node and catalog are on the standby.
    void fail_over(PrivatePostgres& standby)
    {
        {
            pg::Connection connection(postgres_.settings());
            connection.query("UPDATE keyshift.node SET dsn = $1", {standby.conninfo()});
        }
        replayed(standby);
        postgres_.stop("immediate");
        standby.promote();
        pg::Connection connection(standby.settings());
        connection.script("INSERT INTO public.items VALUES (2, 'on the new one')");
    }
    bool has_failover_slots() { return pg::Connection(postgres_.settings()).server_version() >= 170000; }
};

TEST_F(PromotedStandby, WithoutTheSlotIsNotReadUntilItIsRecovered)
{
    ASSERT_TRUE(captures_one());
    PrivatePostgres standby(postgres_);
    fail_over(standby);
    const Lsn kafka = kafka_.progress("n1").value();
    const auto error = start(standby)->fatal_error();
    ASSERT_TRUE(error);
    EXPECT_THAT(error->why, AllOf(HasSubstr("the server is on timeline 2, the catalog knows 1"),
                                  HasSubstr("slot did not come along"), HasSubstr(kafka.to_string())));
    EXPECT_THAT(error->next, HasSubstr("keyshift cdc recover n1"));
    pg::Connection catalog(standby.settings("catalog"));
    catalog::recover_capture(catalog, "n1", false);
    const auto running = start(standby);
    EXPECT_TRUE(arrives("2"));
}

/// PostgreSQL 17 and up; before, what the servers do is the test above.
TEST_F(PromotedStandby, WithTheSlotGoesOnExactly)
{
    if (!has_failover_slots()) {
        return;
    }
    auto running = start(postgres_);
    pg::Connection primary(postgres_.settings());
    primary.script("SELECT pg_catalog.pg_create_physical_replication_slot('standby', true)");
    primary.script("INSERT INTO public.items VALUES (1, 'before')");
    ASSERT_TRUE(arrives("1"));
    running.reset();
    PrivatePostgres standby(postgres_, {"sync_replication_slots = on", "primary_slot_name = standby"});
    running = start(postgres_);
    pg::Connection(postgres_.settings()).script("INSERT INTO public.items VALUES (3, 'last before')");
    ASSERT_TRUE(arrives("3"));
    pg::Connection replica(standby.settings());
    ASSERT_TRUE(eventually(
        [&] {
            return replica.query("SELECT count(*) FROM pg_catalog.pg_replication_slots WHERE synced AND NOT temporary")
                       .integer(0, 0) == 1;
        },
        120s));
    running.reset();
    fail_over(standby);
    const std::size_t before = kafka_.events().size();
    running = start(standby);
    EXPECT_TRUE(arrives("2"));
    EXPECT_EQ(kafka_.events().size(), before + 1) << "nothing twice";
    EXPECT_TRUE(eventually([&] {
        pg::Connection catalog(standby.settings());
        return one(catalog, "SELECT timeline FROM keyshift.node") == "2";
    }));
    running.reset();
    running = start(standby);
    pg::Connection(standby.settings()).script("INSERT INTO public.items VALUES (4, 'after a restart')");
    EXPECT_TRUE(arrives("4"));
}

/// Kafka is far ahead of it: what it does now has lower LSNs than what was lost, and must neither be taken for known nor for older.
TEST_F(PromotedStandby, WhatItLacksAndKafkaHasIsToldAndWrittenOver)
{
    auto running = start(postgres_);
    pg::Connection primary(postgres_.settings());
    primary.script("INSERT INTO public.items VALUES (1, 'before')");
    ASSERT_TRUE(arrives("1"));
    PrivatePostgres standby(postgres_);
    replayed(standby);
    standby.stop("fast");
    pg::Connection source(postgres_.settings());
    source.script("INSERT INTO public.items SELECT i, repeat('lost', 500) FROM generate_series(100, 2100) i;"
                  "INSERT INTO public.items VALUES (3, 'lost')");
    ASSERT_TRUE(arrives("3"));
    ASSERT_TRUE(reaches(source.query("SELECT pg_catalog.pg_current_wal_lsn()").lsn(0, 0)));
    running.reset();
    const Lsn kafka = kafka_.progress("n1").value();
    postgres_.stop("immediate");
    standby.start();
    standby.promote();
    pg::Connection catalog(standby.settings("catalog"));
    catalog.query("UPDATE keyshift.node SET dsn = $1", {standby.conninfo()});
    {
        const auto error = start(standby)->fatal_error();
        ASSERT_TRUE(error);
        EXPECT_THAT(error->why,
                    AllOf(HasSubstr("are in Kafka and were lost by the server"), HasSubstr(kafka.to_string())));
    }
    catalog::recover_capture(catalog, "n1", false);
    running = start(standby);
    ASSERT_TRUE(running->wait_state("streaming", 30s));
    catalog.script("INSERT INTO public.items VALUES (4, 'on the new one')");
    EXPECT_TRUE(arrives("4"));
    const Lsn now = catalog.query("SELECT pg_catalog.pg_current_wal_lsn()").lsn(0, 0);
    EXPECT_LT(now, kafka) << "else this test shows nothing";
    EXPECT_TRUE(reaches(now));
    EXPECT_EQ(told_gaps(), 1);
    const std::vector<FakeEvent> events = kafka_.events();
    const auto of = [&](const std::string& key) {
        return std::ranges::find(events, key, &FakeEvent::key)->position;
    };
    EXPECT_LT(of("3"), of("4"));

    running.reset();
    running = start(standby);
    catalog.script("INSERT INTO public.items VALUES (5, 'after a restart')");
    EXPECT_TRUE(arrives("5"));
    EXPECT_EQ(told_gaps(), 1);
    EXPECT_FALSE(kafka_.progress_went_back());
}

/// The old primary taken back: Kafka's newest progress is of a timeline that it never was on.
TEST_F(PromotedStandby, GivenUpForTheOldPrimaryIsAGapThatIsToldOnce)
{
    ASSERT_TRUE(captures_one());
    PrivatePostgres standby(postgres_);
    fail_over(standby);
    {
        pg::Connection catalog(standby.settings("catalog"));
        catalog::recover_capture(catalog, "n1", false);
    }
    auto running = start(standby);
    ASSERT_TRUE(arrives("2"));
    running.reset();
    standby.stop("fast");
    postgres_.start();
    pg::Connection catalog(postgres_.settings("catalog"));
    catalog.query("UPDATE keyshift.node SET dsn = $1", {postgres_.conninfo()});
    catalog::recover_capture(catalog, "n1", false);
    const long told = told_gaps();
    for (const std::string key : {"10", "11", "12"}) {
        running = start(postgres_);
        catalog.query("INSERT INTO public.items VALUES ($1, 'on the old one')", {key});
        EXPECT_TRUE(arrives(key));
        running.reset();
    }
    EXPECT_EQ(told_gaps(), told + 1);
}

} // namespace
} // namespace keyshift::test
