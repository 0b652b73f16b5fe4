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
    EXPECT_EQ(
        refusal("SELECT user_id,\n       content AS n FROM posts GROUP BY user_id"),
        "column content stands outside of aggregates and is not grouped by itself\n           content AS n FROM posts "
        "GROUP BY user_id\n           ^");
}

TEST(SelectParser, RefusesWhatCannotBeKeptExact)
{
    for (const char* sql : {"SELECT count(*) AS n FROM t",
                            "SELECT a, count(*) AS n FROM t HAVING count(*) > 1",
                            "SELECT a, b, count(*) AS n FROM t GROUP BY ROLLUP (a, b)",
                            "SELECT a, count(*) AS n FROM t GROUP BY 3",
                            "SELECT a, count(*) AS n FROM t GROUP BY a, 2",
                            "SELECT a, b + 1 AS c, count(*) AS n FROM t GROUP BY a, b + 2",
                            "SELECT a, count(*) AS n FROM t GROUP BY a HAVING b > 1",
                            "SELECT a, count(*) AS n FROM t WHERE count(*) > 1 GROUP BY a",
                            "SELECT a, count(*) FROM t GROUP BY a",
                            "SELECT a, count(*) OVER () AS n FROM t GROUP BY a",
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

TEST(SelectParser, RefusesWhatWouldMeanSomethingElseOnceItIsWrittenBack)
{
    for (const char* sql :
         {"SELECT a FROM t WHERE (a AND b) IS NULL", "SELECT a, (NOT b) IS NULL AS c FROM t",
          "SELECT a, (at AT TIME ZONE 'UTC')::date AS d FROM t", "SELECT a, (b AND c)::text AS d FROM t"}) {
        EXPECT_NE(refusal(sql).find("brackets"), std::string::npos) << sql << ": " << refusal(sql);
    }
    for (
        const char* sql :
        {"SELECT a, (b + c) * d AS e, -(-b) AS f, (b + c)::text AS g FROM t WHERE NOT (a = b OR c) AND (a <> b) = c",
         "SELECT a, trim(both ' ' from b) AS c, extract(epoch from at) AS e, substring(b from 1 for 2) AS s FROM t",
         "SELECT a, interval '1 day' AS i, $$x$$ AS j, E'a\\tb' AS k, timezone('UTC', at)::date AS d, b != c AS n FROM t",
         "SELECT a, b IN (1, 2) AS c, b BETWEEN 1 AND 2 AS d, b LIKE 'x%' AS e, b COLLATE \"C\" AS f, ARRAY[b]::int[] AS g, "
         "CASE WHEN b THEN 1 ELSE 2 END AS h, coalesce(b, c) AS i, b->>'x' AS j, (b)[1] AS k, nullif(b, c) AS l FROM t"}) {
        EXPECT_EQ(refusal(sql), "accepted") << sql;
    }
}

/// The expression with a call's number in the place of each aggregate.
std::string numbered(const GroupExpression& expression)
{
    std::string text;
    for (const auto& piece : expression) {
        const auto* sql = std::get_if<std::string>(&piece);
        text += sql != nullptr ? *sql : "#" + std::to_string(std::get<std::size_t>(piece));
    }
    return text;
}

TEST(SelectParser, CutsGroupsIntoWhatIsKeptOfRowsAndOfGroups)
{
    const ParsedSelect select = parse_select(
        "SELECT s.shop, date_trunc('day', at) AS day, sum(price * n) FILTER (WHERE n > 1) / count(*) AS mean, "
        "(array_agg(name ORDER BY price DESC NULLS LAST, id))[1:3] AS best, 'sum(x)' || ', ' AS text "
        "FROM sales s WHERE price > 0 GROUP BY 1, day HAVING count(*) > 3 AND bool_and(paid)");
    ASSERT_TRUE(select.aggregation);
    const ParsedAggregation& groups = *select.aggregation;
    ASSERT_EQ(groups.group.size(), 2U);
    EXPECT_EQ(groups.group[0].base_column, "shop");
    EXPECT_EQ(groups.group[1].sql, "date_trunc('day', at)");
    EXPECT_EQ(groups.group[1].alias, "day");
    std::vector<std::string> targets;
    for (const GroupExpression& target : groups.targets) {
        targets.push_back(numbered(target));
    }
    EXPECT_EQ(targets, (std::vector<std::string>{"s.shop", "date_trunc('day', at)", "#0 / #1", "(#2)[1:3]",
                                                 "'sum(x)' || ', '"}));
    EXPECT_EQ(numbered(groups.having), "#1 > 3 AND #3");
    ASSERT_EQ(groups.calls.size(), 4U);
    EXPECT_TRUE(groups.calls[0].plain);
    EXPECT_EQ(groups.calls[0].argument, "price * n");
    EXPECT_EQ(groups.calls[0].filter, "n > 1");
    EXPECT_EQ(groups.calls[1].argument, "");
    EXPECT_TRUE(groups.calls[2].ordered);
    EXPECT_EQ(groups.calls[2].expressions, (std::vector<std::string>{"price", "id", "name"}));
    EXPECT_EQ(select.condition, "price > 0");
    EXPECT_EQ(select.shown_columns, (std::vector<std::string>{"shop", "at", "n", "price", "id", "name", "paid"}));
}

TEST(SelectParser, ReadsEveryFormOfAnAggregate)
{
    const ParsedSelect select = parse_select(
        "SELECT a, count(DISTINCT b) AS d, count(b) AS c, percentile_cont(0.5) WITHIN GROUP (ORDER BY b) AS p, "
        "string_agg(name, ') ' ORDER BY id) AS s FROM t GROUP BY a");
    const auto& calls = select.aggregation->calls;
    ASSERT_EQ(calls.size(), 4U);
    EXPECT_FALSE(calls[0].plain);
    EXPECT_EQ(calls[0].expressions, (std::vector<std::string>{"b"}));
    EXPECT_TRUE(calls[1].plain);
    EXPECT_EQ(calls[2].text, "percentile_cont(0.5) WITHIN GROUP (ORDER BY b)");
    EXPECT_EQ(calls[2].expressions, (std::vector<std::string>{"0.5", "b"}));
    EXPECT_EQ(calls[3].expressions, (std::vector<std::string>{"id", "name", "') '"}));
}

} // namespace
} // namespace keyshift::projections
