#include "projections/select_parser.hpp"

#include "core/error.hpp"

#include <gtest/gtest.h>

namespace keyshift::projections {
namespace {

std::string refusal(const std::string& sql)
{
    try {
        parse_select(sql);
    } catch (const RefusedError& error) {
        return error.parts().why;
    }
    return "accepted";
}

TEST(SelectParser, TakesColumnsExpressionsAndACondition)
{
    const ParsedSelect select = parse_select(
        "select i.user_id, lower(content) as words -- comment\n from public.interactions i where interaction_type = $$like$$");
    EXPECT_EQ(select.schema, "public");
    EXPECT_EQ(select.table, "interactions");
    EXPECT_EQ(select.alias, "i");
    EXPECT_EQ(select.select_list, "i.user_id, lower(content) AS words");
    EXPECT_EQ(select.condition, "interaction_type = 'like'");
    ASSERT_EQ(select.columns.size(), 2U);
    EXPECT_EQ(select.columns[0].base_column, "user_id");
    EXPECT_EQ(select.columns[1].base_column, "");
    EXPECT_EQ(select.expressions, (std::vector<std::string>{"i.user_id", "lower(content)"}));
    EXPECT_EQ(select.used_columns, (std::vector<std::string>{"user_id", "content", "interaction_type"}));
}

TEST(SelectParser, PutsTheCaretUnderThePlace)
{
    EXPECT_EQ(refusal("SELECT user_id,\n       count(*) AS n FROM posts"),
              "aggregates are not supported yet\n           count(*) AS n FROM posts\n           ^");
}

TEST(SelectParser, RefusesWhatCannotBeKeptExact)
{
    for (const char* sql : {"SELECT a FROM t GROUP BY a",
                            "SELECT DISTINCT a FROM t",
                            "SELECT a FROM t ORDER BY a",
                            "SELECT a FROM t LIMIT 1",
                            "SELECT a FROM t UNION SELECT a FROM s",
                            "SELECT t.a FROM t JOIN s ON s.a = t.a",
                            "SELECT a FROM t, s",
                            "SELECT (SELECT 1) AS x FROM t",
                            "SELECT row_number() OVER () AS x FROM t",
                            "SELECT * FROM t",
                            "SELECT a + 1 FROM t",
                            "SELECT a, b AS a FROM t",
                            "SELECT now_ts AS _x FROM t",
                            "SELECT current_date AS d FROM t",
                            "SELECT s.a FROM t",
                            "SELECT $1 AS a FROM t",
                            "WITH x AS (SELECT 1) SELECT a FROM t",
                            "SELECT 1 AS one",
                            "DELETE FROM t",
                            "SELECT a FROM t; SELECT b FROM t",
                            "selec 1",
                            ""}) {
        EXPECT_NE(refusal(sql), "accepted") << sql;
    }
}

} // namespace
} // namespace keyshift::projections
