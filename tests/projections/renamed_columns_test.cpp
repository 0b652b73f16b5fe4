#include "projections/renamed_columns.hpp"

#include <gtest/gtest.h>

#include <ostream>

namespace keyshift::projections {
namespace {

struct Case {
    const char* before;
    const char* after;
};

void PrintTo(const Case& one, std::ostream* stream)
{
    *stream << one.before;
}

class RenamedSelect : public testing::TestWithParam<Case> {};

TEST_P(RenamedSelect, ReadsTheNewNameAndShowsTheOldOne)
{
    EXPECT_EQ(renamed_select(GetParam().before, {{"a", "b"}, {"The Name", "c"}}), GetParam().after);
}

INSTANTIATE_TEST_SUITE_P(
    Statements, RenamedSelect,
    testing::Values(
        Case{"SELECT a, x FROM t", R"(SELECT "b" AS "a", x FROM t)"},
        Case{"SELECT t.a, x FROM t", R"(SELECT t."b" AS "a", x FROM t)"},
        Case{"SELECT A AS shown FROM t AS a", R"(SELECT "b" AS shown FROM t AS a)"},
        Case{R"(SELECT t . "The Name" FROM t)", R"(SELECT t . "c" AS "The Name" FROM t)"},
        Case{"SELECT upper(a) AS a, 'a' AS k FROM t WHERE a > 1 AND x <> 'a'",
             R"(SELECT upper("b") AS a, 'a' AS k FROM t WHERE "b" > 1 AND x <> 'a')"},
        Case{"SELECT a, count(*) FILTER (WHERE a > 0) AS n FROM t GROUP BY a HAVING max(a) > 1",
             R"(SELECT "b" AS "a", count(*) FILTER (WHERE "b" > 0) AS n FROM t GROUP BY "b" HAVING max("b") > 1)"},
        Case{"SELECT x /* a */ FROM t", "SELECT x /* a */ FROM t"}));

Definition definition()
{
    Definition made;
    made.name = "by_user";
    made.base = {"public", "t"};
    made.alias = "t";
    made.select_list = "user_id, upper(name) AS name";
    made.condition = "t.name IS DISTINCT FROM ' WHERE name'";
    made.columns = {{"user_id", "bigint"}, {"name", "text"}};
    made.key = {"user_id"};
    made.key_base = {"user_id"};
    made.pk = {"id"};
    made.pk_names = {"_pk_id"};
    made.base_columns = {{"user_id", "bigint", "int8"}, {"name", "text", "text"}, {"id", "bigint", "int8"}};
    return made;
}

TEST(RenamedDefinition, ReadsTheTableAsItIsAndKeepsWhatItShows)
{
    const Definition now =
        renamed(renamed(definition(), {{"user_id", "who"}, {"id", "number"}, {"name", "n"}}), {{"n", "called"}});
    EXPECT_EQ(now.select_list, "who AS user_id, upper(called) AS name");
    EXPECT_EQ(now.condition, "t.called IS DISTINCT FROM ' WHERE name'");
    EXPECT_EQ(now.key, std::vector<std::string>{"user_id"});
    EXPECT_EQ(now.key_base, std::vector<std::string>{"who"});
    EXPECT_EQ(now.pk, std::vector<std::string>{"number"});
    EXPECT_EQ(now.pk_names, std::vector<std::string>{"_pk_id"});
    EXPECT_EQ(now.base_columns[1].name, "called");
    EXPECT_EQ(now.base_columns[1].former, (std::vector<std::string>{"name", "n"}));
}

} // namespace
} // namespace keyshift::projections
