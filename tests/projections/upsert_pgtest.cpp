#include "projections/batch_writer.hpp"
#include "projections/column_arrays.hpp"
#include "tests/support/test_servers.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace keyshift::projections {
namespace {

Definition by_user()
{
    Definition definition;
    definition.name = "by_user";
    definition.base = {"public", "t"};
    definition.alias = "t";
    definition.select_list = "user_id, id, upper(content) AS content";
    definition.condition = "content <> 'hidden'";
    definition.columns = {{"user_id", "integer"}, {"id", "integer"}, {"content", "text"}};
    definition.key = {"user_id"};
    definition.key_base = {"user_id"};
    definition.pk = {"id"};
    definition.pk_names = {"id"};
    definition.base_columns = {{"id", "integer", "int4", -1, false},
                               {"user_id", "integer", "int4", -1, false},
                               {"content", "text", "text", -1, false}};
    return definition;
}

struct Version {
    std::string id, user, content;
    long lsn;
    bool live;
};

/// Writes each version in a statement of its own and gives what a reader sees.
std::string written(const std::vector<Version>& versions)
{
    const test::TestDatabase database;
    pg::Connection connection = database.connect();
    connection.script(
        "CREATE SCHEMA keyshift; CREATE TABLE keyshift.by_user__g1 (user_id int, id int, content text, _epoch bigint, _lsn bigint, _seq bigint, "
        "_live boolean, PRIMARY KEY (user_id, id))");
    const std::string statement = upsert_statement(by_user(), Batch::any);
    for (const Version& version : versions) {
        const std::string lsn = std::to_string(version.lsn);
        const auto array = [](const std::string& text) {
            return "{\"" + text + "\"}";
        };
        connection.query(statement, {array(version.id), array(version.user), array(version.content), "{1}", array(lsn),
                                     "{0}", version.live ? "{t}" : "{f}"});
    }
    return std::string(
        connection
            .query(
                "SELECT coalesce(string_agg(user_id || ':' || id || ':' || content, ' ' ORDER BY user_id, id), '') FROM keyshift.by_user__g1 WHERE _live")
            .text(0, 0));
}

/// INV-PRJ-1: whatever the order and however often, the newest version of a register decides.
TEST(Upsert, EveryOrderOfARowsHistoryEndsAtTheSameRow)
{
    // Row 1 moves from user 7 to 8 and back; row 2 is hidden by the condition, then shown; row 3 is deleted.
    std::vector<Version> history{
        {"1", "7", "a", 10, true},    {"1", "8", "b", 20, true},  {"1", "7", "b", 20, false},
        {"1", "7", "c", 30, true},    {"1", "8", "c", 30, false}, {"2", "9", "hidden", 15, true},
        {"2", "9", "seen", 25, true}, {"3", "9", "x", 12, true},  {"3", "9", "", 40, false}};
    const std::vector<Version> again = history;
    history.insert(history.end(), again.begin(), again.end());
    std::mt19937 random(17);
    for (int round = 0; round < 10; ++round) {
        std::shuffle(history.begin(), history.end(), random);
        ASSERT_EQ(written(history), "7:1:C 9:2:SEEN") << "round " << round;
    }
}

TEST(Upsert, ABackfilledRowNeverWinsOverALiveOne)
{
    EXPECT_EQ(written({{"1", "7", "new", 10, true}, {"1", "7", "old", 0, true}}), "7:1:NEW");
    EXPECT_EQ(written({{"1", "7", "", 10, false}, {"1", "7", "old", 0, true}}), "");
}

/// The short statement for live rows of a definition without WHERE keeps the newest version as the general one does.
TEST(Upsert, TheStatementForLiveRowsKeepsTheNewest)
{
    const test::TestDatabase database;
    pg::Connection connection = database.connect();
    connection.script(
        "CREATE SCHEMA keyshift; CREATE TABLE keyshift.by_user__g1 (user_id int, id int, content text, _epoch bigint, "
        "_lsn bigint, _seq bigint, _live boolean, PRIMARY KEY (user_id, id))");
    Definition definition = by_user();
    definition.condition.clear();
    const std::string statement = upsert_statement(definition, Batch::live);
    EXPECT_NE(statement, upsert_statement(definition, Batch::any));
    for (const char* lsn : {"{10}", "{30}", "{20}"}) {
        connection.query(statement, {"{1}", "{7}", std::string("{v") + (lsn + 1), "{1}", lsn, "{0}", "{t}"});
    }
    EXPECT_EQ(connection.query("SELECT content || _lsn || _live FROM keyshift.by_user__g1").text(0, 0), "V3030true");
}

TEST(Upsert, AComputedKeyIsTakenAsItCameAndExpressionsSeeOnlyWhatWhereTakes)
{
    Definition definition;
    definition.name = "by_mail";
    definition.base = {"public", "t"};
    definition.alias = "t";
    definition.select_list = "lower(t.mail), t.id, 10 / t.id";
    definition.columns = {{"k", "text"}, {"id", "integer"}, {"share", "integer"}};
    definition.key = {"k"};
    definition.key_base = {"_ks_key1"};
    definition.pk = {"id"};
    definition.pk_names = {"id"};
    definition.base_columns = {{"id", "integer", "int4", -1, false},
                               {"mail", "text", "text", -1, false},
                               {"_ks_key1", "text", "text", -1, false, "", {}, "lower(t.mail)", {"mail"}}};
    const test::TestDatabase database;
    pg::Connection connection = database.connect();
    connection.script(
        "CREATE SCHEMA keyshift; CREATE TABLE keyshift.by_mail__g1 (k text, id int, share int, _epoch bigint, _lsn bigint, "
        "_seq bigint, _live boolean, PRIMARY KEY (k, id))");
    const auto rows = [&] {
        return std::string(
            connection
                .query(
                    "SELECT string_agg(k || ':' || id || ':' || coalesce(share::text, '-') || ':' || _live, ' ' ORDER BY id) "
                    "FROM keyshift.by_mail__g1")
                .text(0, 0));
    };
    // As of a node whose lower() differs from this one's.
    connection.query(upsert_statement(definition, Batch::live),
                     {"{1,2}", "{ABC,DEF}", "{given,also}", "{1,1}", "{10,10}", "{0,1}", "{t,t}"});
    EXPECT_EQ(rows(), "given:1:10:true also:2:5:true");
    definition.condition = "id <> 0"; // as PostgreSQL writes it where there is one table
    connection.query(upsert_statement(definition, Batch::any),
                     {"{0,1,2}", "{X,ABC,GHI}", "{x,given,other}", "{1,1,1}", "{20,20,20}", "{0,1,2}", "{t,f,t}"});
    EXPECT_EQ(rows(), "x:0:-:false given:1:-:false also:2:5:true other:2:5:true");
}

TEST(Upsert, TheBinaryUuidArrayIsWhatPostgresqlPrints)
{
    const std::string one = "b68a35a7-17ad-35b3-af2a-ae46edb4545a";
    const std::string other = "B68A35A7-17AD-35B3-AF2A-AE46EDB4545A";
    const std::string broken = "b68a35a7-17ad-35b3-af2a-ae46edb4545g";
    const auto array = binary_uuid_array({&one, nullptr});
    ASSERT_TRUE(array);
    constexpr std::uint32_t kUuidArray = 2951;
    const pg::Result row = test::TestDatabase().connect().query("SELECT ($1::uuid[])[1]::text, ($1::uuid[])[2] IS NULL",
                                                                {pg::Parameter(std::string_view(*array), kUuidArray)});
    EXPECT_EQ(row.text(0, 0), one);
    EXPECT_TRUE(row.boolean(0, 1));
    EXPECT_FALSE(binary_uuid_array({&other})) << "sent as text, which PostgreSQL reads";
    EXPECT_FALSE(binary_uuid_array({&broken}));
    for (const char* odd : {"--8a35a7-17ad-35b3-af2a-ae46edb4545a", "b68a35a7a17ad-35b3-af2a-ae46edb4545a",
                            "b68a35a7-17ad-35b3-af2a-ae46edb454-a", "b68a35a7-17ad-35b3-af2a-ae46edb4545"}) {
        const std::string text = odd;
        EXPECT_FALSE(binary_uuid_array({&text})) << odd;
    }
}

/// 1.0 and 1.00 are one register, which PostgreSQL alone knows: a batch with both is refused, so that none is lost.
TEST(Upsert, TwoSpellingsOfOneKeyInABatchAreRefused)
{
    const test::TestDatabase database;
    pg::Connection connection = database.connect();
    connection.script(
        "CREATE SCHEMA keyshift; CREATE TABLE keyshift.by_user__g1 (user_id int, id numeric, content text, _epoch bigint, _lsn bigint, "
        "_seq bigint, _live boolean, PRIMARY KEY (user_id, id)); "
        "CREATE TABLE keyshift.by_user__t1 (_g1 int PRIMARY KEY, _n bigint NOT NULL, _m1 bigint NOT NULL)");
    Definition definition = by_user();
    definition.base_columns[0] = {"id", "numeric", "numeric", -1, false};
    const std::initializer_list<pg::Parameter> batch{"{1.0,1.00}", "{7,7}", "{a,b}", "{1,1}",
                                                     "{10,20}",    "{0,0}", "{t,t}"};
    const auto refusal = [&] {
        try {
            connection.query(upsert_statement(definition, Batch::any), batch);
        } catch (const pg::SqlError& error) {
            return error.sqlstate();
        }
        return std::string("taken");
    };
    EXPECT_EQ(refusal(), "21000");
    Aggregation& groups = definition.aggregation.emplace();
    groups.key = {"user_id"};
    groups.group = {{"user_id", "user_id", "integer", false}};
    groups.measures = {{MeasureKind::count, "count(content)", "content", "", "bigint", false}};
    groups.shown = {{"user_id", "integer", {std::string("user_id")}}};
    EXPECT_EQ(refusal(), "21000");
}

TEST(Upsert, TheBinaryArrayKeepsNullsAndAnyBytes)
{
    const test::TestDatabase database;
    const std::string odd = "{\",\\ zoë";
    const std::string empty;
    const std::string array = binary_text_array({&odd, nullptr, &empty});
    constexpr std::uint32_t kTextArray = 1009;
    const pg::Result row = database.connect().query(
        "SELECT ($1::text[])[1], ($1::text[])[2] IS NULL, ($1::text[])[3] = '', cardinality($1::text[])",
        {pg::Parameter(array, kTextArray)});
    EXPECT_EQ(row.text(0, 0), odd);
    EXPECT_TRUE(row.boolean(0, 1));
    EXPECT_TRUE(row.boolean(0, 2));
    EXPECT_EQ(row.integer(0, 3), 3);
}

} // namespace
} // namespace keyshift::projections
