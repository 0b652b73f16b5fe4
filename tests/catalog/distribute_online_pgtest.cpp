// `table distribute` of a table that is read and written meanwhile: every acknowledged write is in it afterwards, whoever
// stops the command leaves the table as it was, and nobody waits for longer than a moment.
#include "tests/catalog/table_in_use.hpp"

#include "core/error.hpp"
#include "core/json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

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
    EXPECT_EQ(found_by_doctor(cluster.catalog()), nlohmann::json::array());
}

TEST_F(Online, that_is_interrupted_leaves_the_table_as_it_was)
{
    pg::Connection n1 = cluster.connect(0);
    std::stop_source interrupt;
    std::vector<std::string> shown;
    const auto interrupting = [&](double, const std::string& text) {
        shown.push_back(text);
        interrupt.request_stop();
    };
    const catalog::OnlineWork work{interrupting, interrupt.get_token()};
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
