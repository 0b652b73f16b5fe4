#include "projections/co_location.hpp"
#include "projections/composite_select.hpp"

#include "core/error.hpp"

#include <gtest/gtest.h>

namespace keyshift::projections {
namespace {

std::string refusal(const std::string& sql)
{
    try {
        parse_composite(sql);
    } catch (const RefusedError& error) {
        return error.parts().why;
    }
    return "accepted";
}

/// "a: x; b: -" of the tables a, b, c, d, all with columns k, x, y, z: by which columns each is sharded like the key.
std::string placed(const std::string& sql, const std::vector<std::string>& key)
{
    const CompositeSelect select = parse_composite(sql);
    const UseColumns columns(select.uses.size(), {"k", "x", "y", "z"});
    std::string text;
    for (const Branch& branch : select.branches) {
        std::vector<BoundColumn> bound;
        for (const std::string& name : key) {
            for (const OutputColumn& column : branch.columns) {
                if (column.name == name) {
                    bound.push_back(bind_column(select, branch, columns, column.source).value());
                }
            }
        }
        const auto keyed = keyed_columns(select, branch, columns, bound);
        for (std::size_t use = branch.first; use < branch.last; ++use) {
            text += (text.empty() ? "" : "; ") + select.uses[use].alias + ":";
            for (const std::string& column : keyed[use]) {
                text += " " + column;
            }
            text += keyed[use].empty() ? " -" : "";
        }
    }
    return text;
}

TEST(CompositeSelect, ATableJoinedByTheKeyIsShardedLikeItAndAnotherIsNeededWhole)
{
    EXPECT_EQ(placed("SELECT a.k, b.y FROM a JOIN b ON b.x = a.k", {"k"}), "a: k; b: x");
    EXPECT_EQ(placed("SELECT a.k, b.y FROM a LEFT JOIN b ON a.k = b.x AND b.y > 3", {"k"}), "a: k; b: x");
    EXPECT_EQ(placed("SELECT a.k, b.y FROM a JOIN b ON b.k = a.x", {"k"}), "a: k; b: -");
    EXPECT_EQ(placed("SELECT a.k, b.y FROM a, b WHERE b.x = a.k AND b.y = 1", {"k"}), "a: k; b: x");
    EXPECT_EQ(placed("SELECT a.k, b.y FROM a JOIN b USING (k)", {"k"}), "a: k; b: k");
    EXPECT_EQ(placed("SELECT k, b.y FROM a JOIN b USING (k) LEFT JOIN c USING (k)", {"k"}), "a: k; b: k; c: k");
    EXPECT_EQ(placed("SELECT a.k, c.y FROM a JOIN b ON b.x = a.k LEFT JOIN c ON c.z = b.x", {"k"}), "a: k; b: x; c: z");
    EXPECT_EQ(placed("SELECT a.k, d.y FROM a JOIN b ON b.k = a.x JOIN d ON d.k = b.y", {"k"}), "a: k; b: -; d: -");
}

TEST(CompositeSelect, AConditionThatNeedNotHoldPlacesNothing)
{
    EXPECT_EQ(placed("SELECT a.k, b.y FROM a JOIN b ON b.x = a.k OR b.y = 1", {"k"}), "a: k; b: -");
    EXPECT_EQ(placed("SELECT a.k, b.y FROM a JOIN b ON b.x >= a.k", {"k"}), "a: k; b: -");
    EXPECT_EQ(placed("SELECT a.k, b.y FROM a JOIN b ON b.x = a.k + 1", {"k"}), "a: k; b: -");
    EXPECT_EQ(placed("SELECT a.k, b.y FROM a JOIN b ON NOT (b.x = a.k)", {"k"}), "a: k; b: -");
    // All rows of b are shown, with those of c where they fit.
    EXPECT_EQ(placed("SELECT a.k, c.y FROM a JOIN (b LEFT JOIN c ON b.x = c.y) ON c.y = a.k", {"k"}),
              "a: k; b: -; c: y");
    EXPECT_EQ(placed("SELECT a.k, b.x FROM a CROSS JOIN b LEFT JOIN c ON b.x = c.y AND c.y = a.k", {"k"}),
              "a: k; b: -; c: y");
}

TEST(CompositeSelect, AKeyOfTwoColumnsNeedsBoth)
{
    EXPECT_EQ(placed("SELECT a.k, a.x, b.z FROM a JOIN b ON b.y = a.k AND b.z = a.x", {"k", "x"}), "a: k x; b: y z");
    EXPECT_EQ(placed("SELECT a.k, a.x, b.z FROM a JOIN b ON b.y = a.k", {"k", "x"}), "a: k x; b: -");
    EXPECT_EQ(placed("SELECT a.k, b.x FROM a JOIN b ON b.k = a.k", {"k", "x"}), "a: -; b: k x");
}

TEST(CompositeSelect, EachSelectOfAUnionPlacesItsOwnTables)
{
    EXPECT_EQ(
        placed("SELECT k, x FROM a UNION ALL SELECT k, y FROM b UNION ALL SELECT c.k, d.x FROM c JOIN d ON d.k = c.k",
               {"k"}),
        "a: k; b: k; c: k; d: k");
}

TEST(CompositeSelect, PutsRelationsInThePlaceOfTablesAndKeepsTheirNames)
{
    const CompositeSelect select = parse_composite(
        "select a.k, \"odd table\".x, u.y from public.a left join \"my schema\".\"odd table\" using (k) join users as u on u.k = a.k "
        "where a.x = 'from b' union all select k, x, y from users users");
    EXPECT_EQ(with_tables(select, {"r.one", "r.two", "r.three", "r.four"}),
              "SELECT a.k, \"odd table\".x, u.y FROM r.one AS \"a\" LEFT JOIN r.two AS \"odd table\" USING (k) "
              "JOIN r.three u ON u.k = a.k WHERE a.x = 'from b' UNION ALL SELECT k, x, y FROM r.four users");
    EXPECT_TRUE(select.uses[1].nullable);
    EXPECT_FALSE(select.uses[2].nullable);
}

TEST(CompositeSelect, RefusesWhatCannotBeKeptExact)
{
    for (const char* sql : {
             "SELECT a.k FROM a RIGHT JOIN b ON a.k = b.k",
             "SELECT a.k FROM a FULL JOIN b ON a.k = b.k",
             "SELECT a.k FROM a NATURAL JOIN b",
             "SELECT a.k FROM a JOIN (SELECT k FROM b) b ON a.k = b.k",
             "SELECT a.k FROM a, LATERAL (SELECT k FROM b) b",
             "SELECT a.k, s FROM a, generate_series(1, 3) s",
             "SELECT k FROM a UNION SELECT k FROM b",
             "SELECT k FROM a EXCEPT ALL SELECT k FROM b",
             "SELECT k FROM a UNION ALL SELECT k FROM b ORDER BY k",
             "SELECT k FROM a UNION ALL SELECT k FROM b LIMIT 3",
             "SELECT DISTINCT a.k FROM a JOIN b USING (k)",
             "SELECT a.* FROM a JOIN b USING (k)",
             "SELECT a.k, now() - b.x FROM a JOIN b USING (k)",
             "SELECT a.k, CURRENT_DATE AS d FROM a JOIN b USING (k)",
             "SELECT a.k, row_number() OVER () AS n FROM a JOIN b USING (k)",
             "SELECT a.k FROM a JOIN b USING (k) WHERE EXISTS (SELECT FROM c)",
             "SELECT a.k, c.x FROM a JOIN b USING (k)",
             "SELECT a.k, b.x + 1 FROM a JOIN b USING (k)",
             "SELECT a.k, a.k FROM a JOIN b USING (k)",
             "SELECT a.k, b.x AS _x FROM a JOIN b USING (k)",
             "SELECT a.k FROM a JOIN a ON true",
             "SELECT a.k FROM ONLY a JOIN b USING (k)",
             "SELECT public.a.k FROM a JOIN b USING (k)",
             "SELECT a.k, array_agg(b.x) AS xs FROM a JOIN b USING (k) GROUP BY a.k",
             "SELECT a.k, any_value(b.x) AS x FROM a JOIN b USING (k) GROUP BY a.k",
             "SELECT a.k, count(*) AS n FROM a JOIN b USING (k) GROUP BY ROLLUP (a.k)",
         }) {
        EXPECT_NE(refusal(sql), "accepted") << sql;
    }
    EXPECT_EQ(
        refusal("SELECT a.k FROM a\nFULL JOIN b ON a.k = b.k"),
        "RIGHT and FULL joins show rows of this table that have no key of the projection\n    FULL JOIN b ON a.k = b.k\n              ^");
}

TEST(CompositeSelect, KnowsWhichStatementsAreOfSeveralTables)
{
    EXPECT_FALSE(is_composite("SELECT k FROM a WHERE x = 1"));
    EXPECT_TRUE(is_composite("SELECT a.k FROM a, b"));
    EXPECT_TRUE(is_composite("SELECT a.k FROM a JOIN b USING (k)"));
    EXPECT_TRUE(is_composite("SELECT k FROM a UNION ALL SELECT k FROM b"));
}

} // namespace
} // namespace keyshift::projections
