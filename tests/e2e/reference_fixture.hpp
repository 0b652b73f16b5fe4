#pragma once
/// Reference tables in an installation of three nodes, of which n1 is the home of public.countries.

#include "tests/daemon/installation.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

namespace keyshift::test {

inline const char* const kCountries = R"sql(
CREATE TYPE public.zone AS ENUM ('north', 'south');
CREATE TABLE public.countries (
    code text PRIMARY KEY, number int NOT NULL UNIQUE, name text, zone public.zone, area numeric(20,3), shares numeric, since timestamptz,
    day date, price double precision, flag bytea, notes text, tags text[], data jsonb, seen timestamp, amount bigint NOT NULL DEFAULT 0,
    parent text REFERENCES public.countries, twice bigint GENERATED ALWAYS AS (amount * 2) STORED);
ALTER TABLE public.countries ALTER COLUMN notes SET STORAGE EXTERNAL;
INSERT INTO public.countries (code, number, name, zone, area, shares, since, day, price, flag, notes, tags, data, seen, amount)
SELECT 'C' || i, i, 'country "' || i || '" é', CASE i % 3 WHEN 0 THEN 'north'::public.zone WHEN 1 THEN 'south' END, i * 1.125, trim_scale(i / 7.0),
       timestamptz '2020-01-01 00:00:00.123456+00' + i * interval '1 hour', date '1999-12-31' + i, i / 3.0, decode(md5(i::text), 'hex'),
       repeat('note ', 900), ARRAY['a', NULL, 'x"y\z', i::text], jsonb_build_object('i', i), timestamp '2021-05-05 05:05:05.5' + i * interval '1 day', 100
FROM generate_series(1, 300) i)sql";

inline std::string one(pg::Connection& connection, const std::string& sql)
{
    const pg::Result rows = connection.query(sql);
    return rows.rows() == 0 ? std::string("no row") : std::string(rows.text(0, 0));
}

inline std::string content(pg::Connection& node, const std::string& table = "countries",
                           const std::string& key = "code")
{
    return one(node, "SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, '|' ORDER BY " + key +
                         ")), '') FROM public." + table + " t");
}

inline std::string sqlstate_of(pg::Connection& connection, const std::string& sql)
{
    try {
        connection.script(sql);
    } catch (const pg::SqlError& error) {
        return error.sqlstate();
    } catch (const pg::TransientSqlError& error) {
        return error.sqlstate();
    }
    return {};
}

/// n1 is the home.
class ReferenceTable : public ::testing::Test {
protected:
    explicit ReferenceTable(int more = 2, int nodes = 3) : installation(more)
    {
        installation.set_up();
        for (int number = 2; number <= nodes; ++number) {
            installation.add_node(number);
        }
        home.script(kCountries);
    }

    bool live(const std::string& table = "countries")
    {
        return comes_true(
            [&] {
                const auto copies = installation.json({"table", "show", table})["copies"];
                return !copies.empty() &&
                       std::ranges::all_of(copies, [](const auto& copy) { return copy["state"] == "live"; });
            },
            90);
    }
    bool same(int node, const std::string& table = "countries", const std::string& key = "code")
    {
        pg::Connection copy = installation.connect(node);
        const bool equal = comes_true([&] { return content(copy, table, key) == content(home, table, key); }, 90);
        if (!equal) {
            std::set<std::string> wanted = rows(home, table);
            for (const std::string& row : rows(copy, table)) {
                if (wanted.erase(row) == 0) {
                    ADD_FAILURE() << "n" << node << " has " << row;
                }
            }
            for (const std::string& row : wanted) {
                ADD_FAILURE() << "n" << node << " lacks " << row;
            }
        }
        return equal;
    }
    static std::set<std::string> rows(pg::Connection& node, const std::string& table)
    {
        const pg::Result found = node.query("SELECT left(t::text, 60) || md5(t::text) FROM public." + table + " t");
        std::set<std::string> all;
        for (int row = 0; row < found.rows(); ++row) {
            all.emplace(found.text(row, 0));
        }
        return all;
    }
    /// The daemon runs until the failpoint kills it, which may be before it is ready.
    void struck(const std::string& failpoint)
    {
        try {
            installation.start_daemon({{"KEYSHIFT_FAILPOINTS", failpoint}});
        } catch (const std::runtime_error&) {
        }
        ASSERT_EQ(installation.daemon().wait(std::chrono::seconds(60)), 128 + SIGKILL) << failpoint;
        EXPECT_THAT(installation.daemon().output(), ::testing::HasSubstr("fired"));
    }
    std::string shown(const std::string& table = "countries")
    {
        return installation.json({"table", "show", table})["copies"].dump();
    }

    Installation installation;
    pg::Connection home = installation.connect(1);
};

/// Begins with one node; n2 and n3 are databases that join later.
class GrowingCluster : public ReferenceTable {
protected:
    GrowingCluster() : ReferenceTable(2, 1) {}
};

} // namespace keyshift::test
