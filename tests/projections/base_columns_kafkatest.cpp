/// Columns whose base table has more to say about them than a type: domains, and generated ones.

#include "core/error.hpp"
#include "tests/projections/projected_cluster.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace keyshift::test {
namespace {

using ::testing::HasSubstr;

class BaseColumns : public testing::Test {
protected:
    BaseColumns()
    {
        for (const std::size_t node : {0U, 1U}) {
            cluster_.connect(node).script("CREATE DOMAIN public.mail AS text CHECK (VALUE ~ '@'); "
                                          "CREATE DOMAIN public.short_mail AS public.mail CHECK (length(VALUE) < 40)");
        }
        cluster_.connect(0).script(
            "CREATE TABLE public.lines (order_id bigint, line int, mail public.short_mail NOT NULL, quantity int NOT NULL, "
            "price numeric(10, 2) NOT NULL, amount numeric GENERATED ALWAYS AS (quantity * price) STORED, PRIMARY KEY (order_id, line)); "
            "INSERT INTO public.lines SELECT i % 40, i, 'm' || i % 9 || '@x', i % 5, i * 0.25 FROM generate_series(1, 200) i");
        cluster_.distribute("lines", "order_id");
    }

    /// As the SQL has them over n1, which has all rows, once the projection shows them too.
    void expect_exact(const std::string& name, const std::string& sql)
    {
        pg::Connection node = cluster_.connect(0);
        const pg::Result rows = node.query("SELECT r::text FROM (" + sql + ") r");
        std::vector<std::string> wanted;
        for (int row = 0; row < rows.rows(); ++row) {
            wanted.emplace_back(rows.text(row, 0));
        }
        std::ranges::sort(wanted);
        ASSERT_GT(wanted.size(), 0U);
        EXPECT_EQ(cluster_.rows_once("SELECT r::text FROM public." + name + " r", wanted), wanted);
        EXPECT_EQ(cluster_.verify(name), "0/0/0");
    }

    void change()
    {
        cluster_.connect(0).script(
            "UPDATE public.lines SET mail = 'new' || line % 4 || '@y' WHERE line % 3 = 0; DELETE FROM public.lines WHERE line % 7 = 0; "
            "UPDATE public.lines SET quantity = quantity + 1 WHERE line % 5 = 0; INSERT INTO public.lines VALUES (77, 1000, 'z@z', 2, 1.5)");
    }

    ProjectedCluster cluster_;
};

TEST_F(BaseColumns, AKeyOfADomainIsRoutedAsWhatIsBelowIt)
{
    const std::string sql = "SELECT mail, order_id, line, quantity FROM public.lines";
    cluster_.create_and_wait("by_mail", "mail", sql);
    expect_exact("by_mail", sql);
    change();
    expect_exact("by_mail", sql);
    std::size_t rows = 0;
    for (const auto& [node, name] : {std::pair(0U, "n1"), std::pair(1U, "n2")}) {
        const auto found =
            cluster_.connect(node).query("SELECT count(*), count(*) FILTER (WHERE keyshift.node_of("
                                         "'public.by_mail', mail::text) IS DISTINCT FROM $1) FROM public.by_mail",
                                         {name});
        EXPECT_GT(found.integer(0, 0), 0) << name;
        EXPECT_EQ(found.integer(0, 1), 0) << "rows on " << name << " that are routed elsewhere";
        rows += static_cast<std::size_t>(found.integer(0, 0));
    }
    EXPECT_GT(rows, 100U);
}

TEST_F(BaseColumns, GroupsByADomainAreExact)
{
    const std::string sql =
        "SELECT mail, count(*) AS lines, sum(quantity * price) AS amount FROM public.lines GROUP BY mail";
    cluster_.create_and_wait("per_mail", "mail", sql);
    change();
    expect_exact("per_mail", sql);
}

TEST_F(BaseColumns, AGeneratedOneIsRefusedWithTheExpressionThatStandsInForIt)
{
    for (const std::string sql :
         {"SELECT mail, line, amount FROM public.lines",
          "SELECT mail, sum(amount) AS total FROM public.lines GROUP BY mail",
          "SELECT mail, line FROM public.lines WHERE amount > 3",
          "SELECT mail, price FROM public.lines UNION ALL SELECT mail, amount FROM public.lines"}) {
        try {
            cluster_.create("refused", "mail", sql);
            ADD_FAILURE() << sql;
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::refused);
            EXPECT_EQ(error.parts().what, "creating projection refused");
            EXPECT_THAT(error.parts().why, HasSubstr("column amount is generated"));
            EXPECT_THAT(error.parts().why, HasSubstr("^"));
            EXPECT_THAT(error.parts().next, HasSubstr(R"(((quantity)::numeric * price) AS "amount")"));
        }
    }
    const std::string sql =
        "SELECT mail, order_id, line, ((quantity)::numeric * price) AS amount FROM public.lines WHERE (quantity)::numeric * price > 3";
    cluster_.create_and_wait("by_mail", "mail", sql);
    change();
    expect_exact("by_mail", sql);
}

} // namespace
} // namespace keyshift::test
