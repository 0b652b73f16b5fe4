// Reference tables by the program itself: full copies on every node, kept from the topic.
#include "tests/e2e/reference_fixture.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

using ::testing::HasSubstr;

TEST_F(ReferenceTable, TakesWritesOnItsHomeAlone)
{
    installation.start_daemon();
    installation.must({"table", "reference", "countries", "--wait"});
    pg::Connection copy = installation.connect(2);
    for (const char* write :
         {"INSERT INTO public.countries (code, number) VALUES ('x', 0)", "UPDATE public.countries SET name = ''",
          "DELETE FROM public.countries", "TRUNCATE public.countries", "DELETE FROM public.countries WHERE false",
          "SET session_replication_role = replica; DELETE FROM public.countries"}) {
        EXPECT_EQ(sqlstate_of(copy, write), "KS001") << write;
    }
    try {
        copy.script("DELETE FROM public.countries");
    } catch (const pg::SqlError& error) {
        EXPECT_THAT(error.parts().why, HasSubstr("reference table public.countries is written on node n1"));
        EXPECT_THAT(error.parts().why, HasSubstr("\"port\":" + std::to_string(installation.database(1).port())));
    }
    const auto route = installation.json({"route", "countries", "C1"});
    EXPECT_EQ(route["node"], "n1");
    EXPECT_EQ(route["readable_on"].dump(), R"(["n1","n2","n3"])");
    EXPECT_THAT(installation.json({"table", "list"}).dump(), HasSubstr(R"("kind":"reference")"));
    EXPECT_EQ(installation.keyshift({"table", "capture", "--all"}).status, 0);
    EXPECT_EQ(one(home, "SELECT count(*) FROM keyshift.captured_table"), "1") << "copies are not captured";
    EXPECT_EQ(installation.keyshift({"table", "capture", "countries", "--mask", "name=x"}).status, 5);
    EXPECT_EQ(installation.keyshift({"table", "distribute", "countries", "--key", "code", "--offline"}).status, 5);
    EXPECT_EQ(installation.json({"doctor"}).dump(), "[]");
    copy.script("ALTER TABLE public.countries DISABLE TRIGGER keyshift_reject");
    EXPECT_THAT(installation.keyshift({"doctor", "-o", "json"}).out, HasSubstr("reference_open"));
    installation.must({"table", "reference", "countries"});
    EXPECT_EQ(sqlstate_of(copy, "DELETE FROM public.countries"), "KS001");
}

TEST_F(ReferenceTable, IsTruncatedEverywhereAndGoesOn)
{
    installation.start_daemon();
    installation.must({"table", "reference", "countries", "--wait"});
    home.script(
        "BEGIN; UPDATE public.countries SET amount = 7; TRUNCATE public.countries; "
        "INSERT INTO public.countries (code, number, notes) VALUES ('a', 1, repeat('z', 9000)), ('b', 2, ''); COMMIT; "
        "UPDATE public.countries SET amount = 3 WHERE code = 'a'");
    EXPECT_TRUE(same(2)) << shown();
    EXPECT_TRUE(same(3)) << shown();
    EXPECT_EQ(content(home).substr(0, 2), "2 ");
}

TEST_F(ReferenceTable, ARowThatANodeStillNeedsIsANamedConflictAndHoldsUpNobody)
{
    installation.start_daemon();
    installation.must({"table", "reference", "countries", "--wait"});
    pg::Connection copy = installation.connect(2);
    copy.script(
        "CREATE TABLE public.local (id int PRIMARY KEY, code text REFERENCES public.countries); INSERT INTO public.local VALUES (1, 'C7')");
    home.script(
        "DELETE FROM public.countries WHERE code IN ('C7', 'C8'); UPDATE public.countries SET name = 'after' WHERE code = 'C9'");
    EXPECT_TRUE(same(3)) << shown();
    ASSERT_TRUE(comes_true([&] { return one(copy, "SELECT name FROM public.countries WHERE code = 'C9'") == "after"; }))
        << shown();
    EXPECT_EQ(one(copy, "SELECT count(*) FROM public.countries WHERE code = 'C8'"), "0");
    EXPECT_EQ(one(copy, "SELECT key::text FROM keyshift.reference_conflict"), "{C7}");
    ASSERT_TRUE(comes_true([&] { return shown().find(R"("conflicts":1)") != std::string::npos; })) << shown();
    const Finished doctor = installation.keyshift({"doctor", "-o", "json"});
    EXPECT_EQ(doctor.status, 5);
    EXPECT_THAT(doctor.out, HasSubstr("reference_conflict"));
    EXPECT_THAT(installation.get("/metrics").body,
                HasSubstr("keyshift_reference_conflicts{node=\"n2\",table=\"public.countries\"} 1"));
    copy.script("DELETE FROM public.local");
    EXPECT_TRUE(same(2)) << shown();
    EXPECT_TRUE(comes_true([&] { return one(copy, "SELECT count(*) FROM keyshift.reference_conflict") == "0"; }));
}

TEST_F(ReferenceTable, ChangedColumnsOfTheHomeAreNamedAndTheCopyGoesOnOnceItHasThem)
{
    installation.start_daemon();
    installation.must({"table", "reference", "countries", "--wait"});
    home.script(
        "ALTER TABLE public.countries ADD COLUMN anthem text DEFAULT 'la'; UPDATE public.countries SET anthem = 'lala' WHERE code = 'C3'");
    ASSERT_TRUE(comes_true([&] { return shown().find("anthem") != std::string::npos; }, 60)) << shown();
    EXPECT_THAT(installation.keyshift({"doctor", "-o", "json"}).out, HasSubstr("reference_columns_differ"));
    for (const int number : {2, 3}) {
        installation.connect(number).script("ALTER TABLE public.countries ADD COLUMN anthem text DEFAULT 'la'");
    }
    EXPECT_TRUE(live()) << shown();
    EXPECT_TRUE(same(2)) << shown();
    EXPECT_TRUE(same(3)) << shown();
    EXPECT_EQ(installation.json({"doctor"}).dump(), "[]");
}

TEST_F(ReferenceTable, KeyshiftDdlChangesHomeAndCopiesAtOnceAndTheCopiesGoOn)
{
    installation.start_daemon();
    installation.must({"table", "reference", "countries", "--wait"});
    const auto refused = [&](const std::string& statement) {
        const Finished done = installation.keyshift({"ddl", statement, "--yes"});
        EXPECT_EQ(done.status, 5) << statement << done.out << done.err;
        return done.err;
    };
    EXPECT_THAT(refused("TRUNCATE countries"), HasSubstr("Run TRUNCATE on node n1 itself"));
    EXPECT_THAT(
        refused(
            "CREATE TRIGGER t AFTER INSERT ON countries EXECUTE FUNCTION pg_catalog.suppress_redundant_updates_trigger()"),
        HasSubstr("Create the trigger on node n1 itself"));
    EXPECT_THAT(refused("ALTER TABLE countries ADD FOREIGN KEY (name) REFERENCES countries (code)"),
                HasSubstr("DEFERRABLE"));
    installation.must({"ddl", "ALTER TABLE countries ADD COLUMN anthem text DEFAULT 'la'"});
    installation.must({"ddl", "CREATE INDEX countries_anthem ON countries (anthem)"});
    installation.must({"ddl", "ALTER TABLE countries RENAME COLUMN area TO surface"});
    home.script(
        "UPDATE public.countries SET anthem = 'lala', surface = 7 WHERE code = 'C3'; DELETE FROM public.countries WHERE code = 'C4'");
    for (const int number : {2, 3}) {
        EXPECT_TRUE(same(number)) << shown();
        pg::Connection node = installation.connect(number);
        EXPECT_EQ(one(node, "SELECT anthem || surface FROM public.countries WHERE code = 'C3'"), "lala7.000");
        EXPECT_EQ(one(node, "SELECT count(*) FROM pg_indexes WHERE indexname = 'countries_anthem'"), "1");
    }
    EXPECT_TRUE(live()) << shown();
    EXPECT_EQ(installation.json({"doctor"}).dump(), "[]");
}

TEST_F(GrowingCluster, ForeignKeysOfADistributedTableHoldOnANodeThatJoins)
{
    home.script(
        "CREATE TABLE public.users (id bigint PRIMARY KEY, country text NOT NULL REFERENCES public.countries ON UPDATE CASCADE); "
        "INSERT INTO public.users SELECT i, 'C' || (1 + i % 300) FROM generate_series(1, 2000) i");
    const Finished plan = installation.keyshift({"doctor", "--plan", "users=id", "-o", "json"});
    EXPECT_EQ(plan.status, 5);
    EXPECT_THAT(plan.out, HasSubstr("keyshift table reference public.countries"));
    EXPECT_EQ(
        installation.keyshift({"table", "distribute", "users", "--key", "id", "--offline", "--buckets", "4"}).status,
        5);
    installation.start_daemon();
    installation.must({"table", "reference", "countries"});
    EXPECT_EQ(installation.json({"doctor", "--plan", "users=id"}).dump(), "[]");
    installation.must({"table", "distribute", "users", "--key", "id", "--offline", "--buckets", "4"});
    ASSERT_TRUE(
        comes_true([&] { return one(home, "SELECT count(*) FROM keyshift.snapshot WHERE state <> 'done'") == "0"; }));
    EXPECT_EQ(installation.stop_daemon(), 0);
    installation.add_node(2);
    pg::Connection second = installation.connect(2);
    EXPECT_EQ(content(second), "0 ") << "there before it is filled";
    installation.must({"reshard", "start", "--to", "n2", "--buckets", "1,2"});
    installation.start_daemon({{"KEYSHIFT_FAILPOINTS", "reference.filling=sleep:3000"}});
    ASSERT_TRUE(comes_true([&] {
        return one(home, "SELECT string_agg(DISTINCT waiting_for, ' ') FROM keyshift.move")
                   .find("reference table public.countries on n2 is not complete") != std::string::npos;
    }));
    EXPECT_EQ(one(second, "SELECT count(*) FROM public.users"), "0");
    ASSERT_TRUE(comes_true(
        [&] { return one(home, "SELECT count(*) FROM keyshift.move WHERE state IN ('settling', 'done')") == "2"; }, 90))
        << installation.json({"reshard", "status"}).dump();
    EXPECT_TRUE(same(2)) << shown();
    EXPECT_NE(one(second, "SELECT count(*) FROM public.users"), "0");
    EXPECT_EQ(
        one(second,
            "SELECT count(*) FROM pg_constraint WHERE conrelid = 'public.users'::regclass AND contype = 'f' AND convalidated"),
        "1");
    const std::string id = one(second, "SELECT id FROM public.users ORDER BY id LIMIT 1");
    EXPECT_EQ(sqlstate_of(second, "UPDATE public.users SET country = 'nowhere' WHERE id = " + id), "23503");
    installation.must({"ddl", "ALTER TABLE users ADD COLUMN born text REFERENCES countries", "--wait"});
    EXPECT_EQ(sqlstate_of(second, "UPDATE public.users SET born = 'nowhere' WHERE id = " + id), "23503");
    EXPECT_EQ(sqlstate_of(second, "UPDATE public.users SET born = 'C7' WHERE id = " + id), "");
    home.script("INSERT INTO public.countries (code, number) VALUES ('new', 4711)");
    ASSERT_TRUE(comes_true(
        [&] { return sqlstate_of(second, "UPDATE public.users SET country = 'new' WHERE id = " + id).empty(); }));
    home.script("UPDATE public.countries SET code = 'newer' WHERE code = 'new'");
    EXPECT_TRUE(comes_true([&] { return one(second, "SELECT country FROM public.users WHERE id = " + id) == "newer"; }))
        << shown();
    EXPECT_EQ(installation.json({"doctor"}).dump(), "[]");
}

TEST_F(GrowingCluster, NothingIsLeftOfTheCopiesOnANodeThatLeavesNorAnyGuardAfterDeinit)
{
    installation.start_daemon();
    installation.must({"table", "reference", "countries"});
    installation.add_node(2);
    installation.add_node(3);
    ASSERT_TRUE(live()) << shown();
    installation.must({"node", "remove", "n3", "--yes"});
    pg::Connection third = installation.connect(3);
    EXPECT_EQ(
        one(third,
            "SELECT coalesce(to_regclass('public.countries')::text, '') || coalesce(to_regnamespace('keyshift')::text, '')"),
        "");
    EXPECT_EQ(installation.json({"table", "show", "countries"})["copies"].size(), 1U);
    EXPECT_EQ(installation.keyshift({"node", "remove", "n1", "--yes"}).status, 5) << "it is the home";
    ASSERT_EQ(installation.stop_daemon(), 0);
    installation.must({"deinit", "--yes"});
    pg::Connection second = installation.connect(2);
    EXPECT_EQ(sqlstate_of(second, "UPDATE public.countries SET name = 'mine'"), "");
    EXPECT_EQ(one(second, "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal AND tgname LIKE 'keyshift%'"), "0");
    EXPECT_EQ(sqlstate_of(home, "TRUNCATE public.countries"), "");
}

} // namespace
} // namespace keyshift::test
