/// Columns whose base table has more to say about them than a type: domains, and generated ones.

#include "core/error.hpp"
#include "tests/projections/projected_cluster.hpp"

#include <fmt/core.h>
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

TEST_F(BaseColumns, KeysOfBytesAddressesAndRoundedTimesAreRoutedAsTheServerDoes)
{
    cluster_.connect(0).script(
        "CREATE TABLE public.devices (id int PRIMARY KEY, digest bytea NOT NULL, address inet NOT NULL, net cidr NOT NULL, "
        "mac macaddr NOT NULL, wakes time(3) NOT NULL, seen timestamptz(3) NOT NULL, day timestamp(0) NOT NULL); "
        "CREATE TABLE public.shape (LIKE public.devices); CREATE FUNCTION public.device(i int) RETURNS public.shape LANGUAGE sql AS $$ SELECT i, substr(decode(md5(i::text), 'hex'), 1, i % 6), "
        "set_masklen(CASE WHEN i % 2 = 0 THEN inet '10.9.0.0' ELSE inet '2001:db8::' END + i % 40, 32 - i % 3), "
        "network(set_masklen(inet '10.9.0.0' + i * 8, 28)), left(md5(i::text), 12)::macaddr, "
        "CASE WHEN i = 7 THEN time '24:00' ELSE time '00:00' + i * interval '37.0123456 seconds' END, "
        "timestamptz '2026-01-01 00:00:00+00' + i * interval '1 hour 0.0123456 seconds', "
        "timestamp '2026-01-01' + i % 50 * interval '1.6 seconds' $$; "
        "INSERT INTO public.devices SELECT (public.device(i)).* FROM generate_series(1, 200) i");
    cluster_.distribute("devices", "id");
    const std::vector<std::string> keys{"digest", "address", "net", "mac", "wakes", "seen", "day"};
    for (const std::string& key : keys) {
        cluster_.create_and_wait("by_" + key, key, "SELECT " + key + ", id FROM public.devices");
    }
    cluster_.connect(0).script(
        "INSERT INTO public.devices SELECT (public.device(i)).* FROM generate_series(201, 260) i; "
        "DELETE FROM public.devices WHERE id % 9 = 0; UPDATE public.devices d SET (digest, address, net, mac, wakes, seen, day) = "
        "(SELECT digest, address, net, mac, wakes, seen, day FROM public.device(d.id + 1000)) WHERE id % 4 = 0");
    for (const std::string& key : keys) {
        SCOPED_TRACE(key);
        expect_exact("by_" + key, "SELECT " + key + ", id FROM public.devices");
        for (const auto& [node, name] : {std::pair(0U, "n1"), std::pair(1U, "n2")}) {
            const auto found = cluster_.connect(node).query(
                fmt::format("SELECT count(*), count(*) FILTER (WHERE keyshift.node_of('public.by_{0}', {0}::text) "
                            "IS DISTINCT FROM $1) FROM public.by_{0}",
                            key),
                {name});
            EXPECT_GT(found.integer(0, 0), 0) << name;
            EXPECT_EQ(found.integer(0, 1), 0) << "rows on " << name << " that are routed elsewhere";
        }
    }
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
