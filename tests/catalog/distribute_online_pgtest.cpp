// `table distribute` of a table that is read and written meanwhile: every acknowledged write is in it afterwards, whoever
// stops the command leaves the table as it was, and nobody waits for longer than a moment.
#include "tests/catalog/cluster.hpp"

#include "core/error.hpp"
#include "tests/support/process.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <atomic>
#include <csignal>
#include <map>
#include <random>
#include <thread>

namespace keyshift::test {
namespace {

using Rows = std::map<std::int64_t, std::pair<std::string, std::string>>; // id -> owner, content

constexpr std::int64_t kRows = 20'000;
constexpr std::int64_t kWriters = 4;

/// Writes rows with id % kWriters == its number, each statement acknowledged or told to be repeated, and knows what they are.
class Writer {
public:
    Writer(pg::Connection connection, std::int64_t number, bool strict)
        : connection_(std::move(connection)), number_(number), strict_(strict), random_(static_cast<unsigned>(number)),
          thread_([this](std::stop_token stop) { run(stop); })
    {
    }

    void stop()
    {
        thread_.request_stop();
        thread_.join();
    }

    Rows rows;
    std::atomic<int> written = 0;
    int repeated = 0;
    std::string error;

private:
    void run(const std::stop_token& stop)
    try {
        for (std::int64_t id = number_; id < kRows; id += kWriters) {
            rows[id] = {"o" + std::to_string(id % 97), "first"};
        }
        while (!stop.stop_requested()) {
            step();
            ++written;
        }
    } catch (const std::exception& failed) {
        error = failed.what();
    }

    /// Up to three changes in one transaction, a third of which are taken back.
    void step()
    {
        Rows changed = rows;
        try {
            connection_.script(strict_ ? "BEGIN ISOLATION LEVEL REPEATABLE READ" : "BEGIN");
            for (int i = 0; i < 3; ++i) {
                change(changed);
            }
            const bool kept = random_() % 3 != 0;
            connection_.script(kept ? "COMMIT" : "ROLLBACK");
            if (kept) {
                rows = std::move(changed);
            }
        } catch (const pg::TransientSqlError&) {
            connection_.script("ROLLBACK");
            ++repeated;
        }
    }

    void change(Rows& changed)
    {
        const std::int64_t id = static_cast<std::int64_t>(random_() % (kRows / kWriters)) * kWriters + number_;
        const auto found = changed.find(id);
        const std::string content = std::string(random_() % 40, 'c') + std::to_string(random_());
        if (found == changed.end()) {
            const std::string owner = "o" + std::to_string(random_() % 97);
            sql(fmt::format("INSERT INTO public.items (id, owner, content) VALUES ({}, '{}', '{}')", id, owner,
                            content));
            changed[id] = {owner, content};
        } else if (const auto way = random_() % 4; way == 0) {
            sql(fmt::format("DELETE FROM public.items WHERE id = {}", id));
            changed.erase(found);
        } else if (way == 1) { // into another bucket
            const std::string owner = "o" + std::to_string(random_() % 97);
            sql(fmt::format("UPDATE public.items SET owner = '{}' WHERE id = {}", owner, id));
            found->second.first = owner;
        } else {
            sql(fmt::format("UPDATE public.items SET content = '{}' WHERE id = {}", content, id));
            found->second.second = content;
        }
    }

    void sql(const std::string& statement)
    {
        if (connection_.query(statement).affected() != 1) {
            throw std::runtime_error("no row: " + statement);
        }
    }

    pg::Connection connection_;
    std::int64_t number_;
    bool strict_;
    std::minstd_rand random_;
    std::jthread thread_;
};

class Online : public testing::Test {
protected:
    Online()
    {
        cluster.offline = false;
        cluster.add_database().connect().script(fmt::format(
            "CREATE TABLE public.items (id bigint NOT NULL, owner text, content text NOT NULL, touched int NOT NULL DEFAULT 0, PRIMARY KEY (owner, id));"
            "CREATE INDEX items_content ON public.items (content);"
            "INSERT INTO public.items (id, owner, content) SELECT n, 'o' || n % 97, 'first' FROM generate_series(0, {}) n",
            kRows - 1));
        cluster.add_database();
        cluster.add_node(0);
        cluster.add_node(1);
    }

    static Rows read(pg::Connection& node)
    {
        Rows rows;
        const pg::Result result = node.query("SELECT id, owner, content FROM public.items");
        for (int row = 0; row < result.rows(); ++row) {
            EXPECT_TRUE(rows.try_emplace(result.integer(row, 0), std::string(result.text(row, 1)),
                                         std::string(result.text(row, 2)))
                            .second);
        }
        return rows;
    }

    void expect_as_before(pg::Connection& node)
    {
        EXPECT_EQ(one(node, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'keyshift\\_copy%'"), "0");
        EXPECT_EQ(one(node, "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'keyshift%'"), "0");
        EXPECT_EQ(one(node, "SELECT relkind FROM pg_class WHERE oid = 'public.items'::regclass"), "r");
        EXPECT_EQ(one(cluster.catalog(), "SELECT count(*) FROM keyshift.captured_table"), "0");
    }

    catalog::Distribute request() const { return {"items", {"owner"}, 8, "", false, false}; }

    Cluster cluster;
};

TEST_F(Online, keeps_every_acknowledged_write)
{
    pg::Connection n1 = cluster.connect(0);
    // Changes the row again, and another one, from inside the statement: events in another order than the changes.
    n1.script(
        "CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN "
        "IF pg_trigger_depth() = 1 THEN UPDATE public.items SET touched = touched + 1 WHERE id IN (NEW.id, NEW.id + 4) AND owner = NEW.owner; END IF; RETURN NULL; END';"
        "CREATE TRIGGER touch AFTER INSERT OR UPDATE ON public.items FOR EACH ROW EXECUTE FUNCTION public.touch()");
    std::vector<std::unique_ptr<Writer>> writers;
    for (std::int64_t number = 0; number < kWriters; ++number) {
        writers.push_back(std::make_unique<Writer>(cluster.connect(0), number, number % 2 == 1));
    }
    cluster.distribute("items", {"owner"});
    for (const auto& writer : writers) {
        const int then = writer->written;
        while (writer->written < then + 20 && writer->error.empty()) {
            std::this_thread::yield();
        }
    }
    Rows expected;
    for (const auto& writer : writers) {
        writer->stop();
        EXPECT_EQ(writer->error, "");
        expected.merge(writer->rows);
    }
    EXPECT_EQ(read(n1), expected);
    EXPECT_EQ(one(n1, "SELECT count(*) FROM public.items WHERE tableoid::regclass::text <> 'public.items_b' || "
                      "keyshift.bucket_of('public.items', owner)"),
              "0");
    EXPECT_EQ(catalog::doctor(cluster.catalog(), {}), nlohmann::json::array());
}

TEST_F(Online, and_back_again_keeps_every_acknowledged_write)
{
    cluster.distribute("items", {"owner"});
    pg::Connection n1 = cluster.connect(0);
    std::vector<std::unique_ptr<Writer>> writers;
    for (std::int64_t number = 0; number < kWriters; ++number) {
        writers.push_back(std::make_unique<Writer>(cluster.connect(0), number, number % 2 == 1));
    }
    catalog::undistribute(cluster.catalog(), "items", false);
    Rows expected;
    for (const auto& writer : writers) {
        writer->stop();
        EXPECT_EQ(writer->error, "");
        expected.merge(writer->rows);
    }
    EXPECT_EQ(read(n1), expected);
    EXPECT_EQ(one(n1, "SELECT relkind FROM pg_class WHERE oid = 'public.items'::regclass"), "r");
    EXPECT_EQ(one(n1, "SELECT count(*) FROM pg_class WHERE relname LIKE 'items\\_b%'"), "0");
    EXPECT_EQ(one(n1, "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'keyshift%'"), "0");
    pg::Connection n2 = cluster.connect(1);
    EXPECT_EQ(one(n2, "SELECT to_regclass('public.items') IS NULL AND NOT EXISTS (SELECT FROM keyshift.placement)"),
              "t");
    EXPECT_EQ(one(cluster.catalog(), "SELECT node || epoch || coalesce(group_name, '') FROM keyshift.captured_table"),
              "n12");
    EXPECT_EQ(catalog::doctor(cluster.catalog(), {}), nlohmann::json::array());
    cluster.distribute("items", {"owner"});
    EXPECT_EQ(one(cluster.catalog(), "SELECT min(epoch) FROM keyshift.bucket"), "3");
}

TEST_F(Online, back_again_follows_the_truncate_of_one_leaf)
{
    cluster.distribute("items", {"owner"});
    pg::Connection n1 = cluster.connect(0);
    bool truncated = false;
    const catalog::OnlineWork work{[&](double, const std::string&) {
                                       if (!std::exchange(truncated, true)) {
                                           n1.script("TRUNCATE public.items_b0, public.items_b7");
                                       }
                                   },
                                   {}};
    const std::string left = one(n1, "SELECT count(*) FROM public.items WHERE tableoid::regclass::text !~ '_b[07]$'");
    catalog::undistribute(cluster.catalog(), "items", false, work);
    EXPECT_TRUE(truncated);
    EXPECT_EQ(one(n1, "SELECT count(*) FROM public.items"), left);
}

class CrashOfUndistribute : public testing::TestWithParam<const char*> {};

TEST_P(CrashOfUndistribute, is_mended_by_a_second_run)
{
    Cluster cluster;
    cluster.add_database().connect().script(
        "CREATE TABLE public.t (k bigint PRIMARY KEY, v int); INSERT INTO public.t SELECT n, n FROM generate_series(1, 100) n");
    cluster.add_database();
    cluster.add_node(0);
    cluster.add_node(1);
    cluster.distribute("t", {"k"});
    EXPECT_EQ(run_program({KEYSHIFT_CATALOG_COMMAND, cluster.catalog().settings().conninfo, "undistribute", "t"},
                          {{"KEYSHIFT_FAILPOINTS", std::string(GetParam()) + "=kill"}})
                  .status,
              128 + SIGKILL);
    pg::Connection n1 = cluster.connect(0);
    n1.script("INSERT INTO public.t VALUES (101, 1); DELETE FROM public.t WHERE k = 9");
    catalog::undistribute(cluster.catalog(), "t", false);
    EXPECT_EQ(one(n1, "SELECT count(*) || ',' || sum(v) FROM public.t"), "100,5042");
    pg::Connection n2 = cluster.connect(1);
    EXPECT_EQ(one(n2, "SELECT to_regclass('public.t') IS NULL"), "t");
    EXPECT_EQ(catalog::doctor(cluster.catalog(), {}), nlohmann::json::array());
}
INSTANTIATE_TEST_SUITE_P(failpoints, CrashOfUndistribute,
                         testing::Values("online.fill.chunk", "online.swap.before_commit",
                                         "undistribute.holder.persisted", "undistribute.others.persisted"));

TEST_F(Online, back_again_is_refused_while_something_ties_the_table)
{
    pg::Connection n1 = cluster.connect(0);
    n1.script("CREATE TABLE public.notes (owner text, item bigint, n bigint, PRIMARY KEY (owner, item, n), "
              "CONSTRAINT of_item FOREIGN KEY (owner, item) REFERENCES public.items (owner, id))");
    cluster.distribute("items", {"owner"});
    cluster.distribute("notes", {"owner"}, "items");
    const auto why = [&](const char* table) {
        try {
            catalog::undistribute(cluster.catalog(), table, false);
            return std::string("undistributed");
        } catch (const RefusedError& error) {
            return std::string(error.what());
        }
    };
    EXPECT_THAT(why("items"), testing::HasSubstr("of_item"));
    EXPECT_THAT(why("notes"), testing::HasSubstr("of_item"));
    EXPECT_THAT(why("nothing"), testing::HasSubstr("not a distributed table"));
    n1.script("ALTER TABLE public.notes DROP CONSTRAINT of_item");
    EXPECT_EQ(why("notes"), "undistributed");
    EXPECT_EQ(one(cluster.catalog(), "SELECT string_agg(name, ',') FROM keyshift.table_group"), "items");
}

TEST_F(Online, that_is_interrupted_leaves_the_table_as_it_was)
{
    pg::Connection n1 = cluster.connect(0);
    std::stop_source interrupt;
    std::vector<std::string> shown;
    const catalog::OnlineWork work{[&](double, const std::string& text) {
                                       shown.push_back(text);
                                       interrupt.request_stop();
                                   },
                                   interrupt.get_token()};
    EXPECT_THROW(catalog::distribute(cluster.catalog(), request(), work), Error);
    EXPECT_THAT(shown, testing::Not(testing::IsEmpty()));
    expect_as_before(n1);
    cluster.distribute("items", {"owner"});
}

TEST_F(Online, follows_a_truncate_and_a_rewrite)
{
    pg::Connection n1 = cluster.connect(0);
    int calls = 0;
    const catalog::OnlineWork work{
        [&](double, const std::string&) {
            if (++calls == 1) {
                n1.script(
                    "TRUNCATE public.items; INSERT INTO public.items (id, owner, content) SELECT n, 'new', 'second' FROM generate_series(1, 5000) n");
            } else if (calls == 2) {
                n1.script("DELETE FROM public.items WHERE id % 2 = 0");
            } else if (calls == 3) {
                n1.script("VACUUM FULL public.items");
            }
        },
        {}};
    catalog::distribute(cluster.catalog(), request(), work);
    EXPECT_GE(calls, 3);
    EXPECT_EQ(one(n1, "SELECT count(*) || ',' || sum(id) FROM public.items"), "2500,6250000");
}

TEST_F(Online, waits_for_a_snapshot_that_is_older_than_the_copy_and_names_it)
{
    pg::Connection report = cluster.connect(0);
    report.script("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM pg_class");
    std::string waited;
    const catalog::OnlineWork work{[&](double, const std::string& text) {
                                       if (waited.empty() && text.find("reads a snapshot") != std::string::npos) {
                                           waited = text;
                                           EXPECT_EQ(one(report, "SELECT count(*) FROM public.items"),
                                                     std::to_string(kRows));
                                           report.script("COMMIT");
                                       }
                                   },
                                   {}};
    catalog::distribute(cluster.catalog(), request(), work);
    EXPECT_THAT(waited, testing::HasSubstr(std::to_string(report.backend_pid())));
}

TEST_F(Online, is_taken_back_when_the_table_is_altered_meanwhile)
{
    pg::Connection n1 = cluster.connect(0);
    bool altered = false;
    const catalog::OnlineWork work{[&](double, const std::string&) {
                                       if (!std::exchange(altered, true)) {
                                           n1.script("ALTER TABLE public.items ADD more int");
                                       }
                                   },
                                   {}};
    try {
        catalog::distribute(cluster.catalog(), request(), work);
        FAIL() << "a table of another shape was swapped in";
    } catch (const Error& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr("its definition was changed while"));
    }
    expect_as_before(n1);
    n1.script("INSERT INTO public.items (id, owner, content, more) VALUES (-1, 'x', 'y', 1)");
}

TEST_F(Online, is_taken_back_at_once_when_a_column_goes)
{
    pg::Connection n1 = cluster.connect(0);
    bool altered = false;
    const catalog::OnlineWork work{[&](double, const std::string&) {
                                       if (!std::exchange(altered, true)) {
                                           n1.script("ALTER TABLE public.items RENAME content TO words");
                                       }
                                   },
                                   {}};
    EXPECT_THROW(catalog::distribute(cluster.catalog(), request(), work), TransientError);
    expect_as_before(n1);
    n1.script("INSERT INTO public.items (id, owner, words) VALUES (-1, 'x', 'y')");
}

TEST_F(Online, is_refused_before_it_begins_where_the_table_cannot_be_replaced)
{
    pg::Connection n1 = cluster.connect(0);
    const auto why = [&] {
        try {
            catalog::distribute(cluster.catalog(), request());
            return std::string("distributed");
        } catch (const RefusedError& error) {
            expect_as_before(n1);
            return error.parts().why;
        }
    };
    n1.script("CREATE VIEW public.seen AS SELECT id FROM public.items");
    EXPECT_THAT(why(), testing::HasSubstr("view public.seen"));
    n1.script(
        "DROP VIEW public.seen; CREATE FUNCTION public.of_items() RETURNS SETOF public.items LANGUAGE sql AS 'SELECT * FROM public.items'");
    EXPECT_THAT(why(), testing::HasSubstr("function public.of_items()"));
    n1.script(
        "DROP FUNCTION public.of_items(); ALTER TABLE public.items DROP CONSTRAINT items_pkey, ADD PRIMARY KEY (owner, id) DEFERRABLE");
    EXPECT_THAT(why(), testing::HasSubstr("deferrable"));
}

TEST_F(Online, keeps_foreign_keys_while_both_sides_are_written)
{
    pg::Connection n1 = cluster.connect(0);
    n1.script("CREATE TABLE public.notes (owner text, item bigint, n bigint, PRIMARY KEY (owner, item, n), "
              "FOREIGN KEY (owner, item) REFERENCES public.items (owner, id) ON DELETE CASCADE);"
              "INSERT INTO public.notes SELECT owner, id, 0 FROM public.items WHERE id % 10 = 0");
    std::atomic<bool> failed = false;
    std::jthread children([&](std::stop_token stop) {
        pg::Connection writer = cluster.connect(0);
        for (std::int64_t n = 1; !stop.stop_requested(); ++n) {
            try {
                writer.script(
                    fmt::format("INSERT INTO public.notes SELECT owner, id, {0} FROM public.items WHERE id = {1};"
                                "DELETE FROM public.items WHERE id = {2};",
                                n, n * 7 % kRows, n * 13 % kRows));
            } catch (const pg::TransientSqlError&) {
                continue;
            } catch (const Error&) {
                failed = true;
            }
        }
    });
    cluster.distribute("items", {"owner"});
    cluster.distribute("notes", {"owner"}, "items");
    children.request_stop();
    children.join();
    EXPECT_FALSE(failed);
    EXPECT_EQ(
        one(n1,
            "SELECT count(*) FROM public.notes n WHERE NOT EXISTS (SELECT FROM public.items i WHERE i.owner = n.owner AND i.id = n.item)"),
        "0");
    EXPECT_EQ(one(n1, "SELECT count(*) FROM pg_constraint WHERE conname LIKE 'keyshift%'"), "0");
    EXPECT_EQ(sqlstate_of(n1, "INSERT INTO public.notes VALUES ('nobody', -5, 1)"), "23503");
}

} // namespace
} // namespace keyshift::test
