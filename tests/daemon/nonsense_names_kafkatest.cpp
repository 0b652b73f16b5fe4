// Nonsense where names, columns, conditions and records of the control topic are meant: the error has its three parts, and
// nothing has changed in the catalog, the publication and the slots.
#include "core/change_event.hpp"
#include "core/kafka/client.hpp"
#include "core/names.hpp"
#include "tests/daemon/installation.hpp"
#include "tests/daemon/nonsense.hpp"

#include <fmt/core.h>

#include <chrono>
#include <sstream>

namespace keyshift::test {
namespace {

/// Everything that a command could have changed: the catalog's rows, the node's publication and its slot.
std::string everything(const Installation& installation)
{
    pg::Connection connection = installation.connect();
    const pg::Result tables =
        connection.query("SELECT relname FROM pg_class WHERE relnamespace = 'keyshift'::regnamespace "
                         "AND relkind = 'r' ORDER BY 1");
    std::string text;
    for (int row = 0; row < tables.rows(); ++row) {
        const std::string table(tables.text(row, 0));
        text += table + ":" +
                std::string(connection
                                .query(fmt::format("SELECT coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '') "
                                                   "FROM keyshift.{} t",
                                                   quote_identifier(table)))
                                .text(0, 0)) +
                "\n";
    }
    const pg::Result published =
        connection.query("SELECT coalesce(string_agg(p::text, ' ' ORDER BY p::text), '') FROM pg_publication_tables p");
    const pg::Result slots =
        connection.query("SELECT count(*)::text FROM pg_replication_slots WHERE database = current_database()");
    return text + std::string(published.text(0, 0)) + std::string(slots.text(0, 0));
}

class NonsenseTables : public testing::Test {
protected:
    void SetUp() override
    {
        installation_.connect().script(
            "CREATE TABLE public.items (id int PRIMARY KEY, name text); CREATE TABLE public.bare (id int); "
            "CREATE VIEW public.seen AS SELECT * FROM public.items; "
            "CREATE MATERIALIZED VIEW public.kept AS SELECT * FROM public.items; CREATE SEQUENCE public.numbers; "
            "CREATE INDEX items_name ON public.items (name); CREATE TYPE public.pair AS (a int, b int); "
            "CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER far FOREIGN DATA WRAPPER nowhere; "
            "CREATE FOREIGN TABLE public.foreign_items (id int) SERVER far; "
            "CREATE UNLOGGED TABLE public.unlogged_items (id int PRIMARY KEY); CREATE SCHEMA \"a.b\"; "
            "CREATE TABLE \"a.b\".c (id int PRIMARY KEY)");
        installation_.set_up();
    }
    void expect_refused(const std::vector<std::string>& arguments, const std::vector<int>& statuses)
    {
        const std::string before = everything(installation_);
        const Finished done = installation_.keyshift(arguments);
        EXPECT_THAT(statuses, testing::Contains(done.status)) << joined(arguments) << "\n" << done.err;
        expect_three_parts(done, joined(arguments));
        EXPECT_EQ(everything(installation_), before) << joined(arguments);
    }

    Installation installation_;
};

const std::vector<std::string> kNoTables{"public.seen",
                                         "public.kept",
                                         "public.numbers",
                                         "public.items_name",
                                         "public.pair",
                                         "public.foreign_items",
                                         "public.unlogged_items",
                                         "public.none",
                                         "none.items",
                                         "pg_class",
                                         "pg_catalog.pg_class",
                                         "information_schema.tables",
                                         "pg_toast.pg_toast_1255",
                                         "keyshift.node",
                                         "pg_temp.items",
                                         "a.b.c",
                                         "a.b.c.d",
                                         ".",
                                         "..",
                                         "public.",
                                         ".items",
                                         "",
                                         " ",
                                         "\"\"",
                                         "\"\".items",
                                         "\"items",
                                         "items\"",
                                         "public items",
                                         "items;",
                                         "items; DROP TABLE items",
                                         "17",
                                         "*",
                                         std::string(70, 'x'),
                                         std::string(5'000, 'x'),
                                         "\xff\xfe",
                                         "items\n",
                                         "it\tems"};

TEST_F(NonsenseTables, AreNotCapturedNorDistributedNorReadAgain)
{
    for (const std::string& table : kNoTables) {
        expect_refused({"table", "capture", table}, {2, 5});
    }
    for (const char* table :
         {"public.seen", "public.foreign_items", "pg_catalog.pg_class", "keyshift.node", "a.b.c", "\xff"}) {
        expect_refused({"table", "distribute", table, "--key", "id", "--buckets", "4", "--offline"}, {2, 5});
        expect_refused({"cdc", "snapshot", table}, {2, 5});
    }
    expect_refused({"table", "capture", "public.bare"}, {5});
    installation_.must({"table", "capture", "\"a.b\".c"});
}

TEST_F(NonsenseTables, OfASessionAreNobodyElses)
{
    pg::Connection session = installation_.connect();
    session.script("CREATE TEMPORARY TABLE mine (id int PRIMARY KEY)");
    const std::string schema(
        session.query("SELECT nspname FROM pg_namespace WHERE oid = pg_my_temp_schema()").text(0, 0));
    expect_refused({"table", "capture", "mine"}, {5});
    expect_refused({"table", "capture", schema + ".mine"}, {5});
    expect_refused({"table", "distribute", schema + ".mine", "--key", "id", "--offline"}, {5});
}

TEST_F(NonsenseTables, AndColumnsInOptionsAreRefused)
{
    for (const std::vector<std::string>& options :
         std::vector<std::vector<std::string>>{{"--mask", "name"},
                                               {"--mask", "none=x"},
                                               {"--mask", "=x"},
                                               {"--mask", "\"name=x"},
                                               {"--truncate", "name"},
                                               {"--truncate", "name=many"},
                                               {"--truncate", "name=-1"},
                                               {"--truncate", "name=1.5"},
                                               {"--truncate", "name=99999999999999999999"},
                                               {"--truncate", "id=2"},
                                               {"--on-error", "ignore"},
                                               {"--key", "none"},
                                               {"--key", ",,"},
                                               {"--key", "id,id"},
                                               {"--include-columns", "none"},
                                               {"--exclude-columns", "id"},
                                               {"--where", "name ="},
                                               {"--where", "true; DROP TABLE items"},
                                               {"--where", "now() > '2020-01-01'"},
                                               {"--where", "none = 1"},
                                               {"--hash", "none"}}) {
        std::vector<std::string> arguments{"table", "capture", "items"};
        arguments.insert(arguments.end(), options.begin(), options.end());
        expect_refused(arguments, {2, 3, 5});
    }
    installation_.must({"table", "capture", "items"});
    for (const char* condition : {"", "name =", "true; DROP TABLE items", "none = 1", "count(*) > 1", "(", "'"}) {
        expect_refused({"cdc", "snapshot", "items", "--where", condition}, {2, 5});
    }
}

TEST_F(NonsenseTables, NodesJobsAndProjectionsThatAreNoneAreRefused)
{
    for (const char* name : {"none", "", "N 1", "n1\""}) {
        for (const char* verb : {"pause", "resume", "recover"}) {
            expect_refused({"cdc", verb, name}, {2, 5});
        }
        expect_refused({"node", "remove", name, "--yes"}, {2, 5});
        expect_refused({"node", "show", name}, {2, 5});
        expect_refused({"projection", "drop", name, "--yes"}, {2, 5});
    }
    for (const char* job : {"0", "-1", "99999999999999999999", "one", ""}) {
        expect_refused({"reshard", "cancel", job, "--yes"}, {2, 5});
        expect_refused({"reshard", "status", job}, {2, 5});
    }
    for (const char* dsn : {"", "nonsense", "host", "port=1 host=", "postgres://", "host=127.0.0.1 port=one"}) {
        expect_refused({"node", "add", "n2", "--dsn", dsn}, {2, 4, 5});
    }
    for (const char* sql :
         {"", "SELECT", "SELECT 1", "DROP TABLE items", "SELECT * FROM none", "SELECT * FROM items; SELECT 1", "("}) {
        expect_refused({"projection", "create", "p", "--key", "id", "--sql", sql}, {2, 5});
    }
}

TEST(NonsenseInTheControlTopic, IsPassedOverAndNothingIsLostOrWrittenTwice)
{
    Installation installation;
    installation.connect().script("CREATE TABLE public.items (id int PRIMARY KEY)");
    installation.set_up();
    installation.must({"table", "capture", "items"});
    installation.start_daemon();
    pg::Connection connection = installation.connect();
    const auto confirmed = [&](const Lsn& lsn) {
        return comes_true([&] {
            return connection
                       .query("SELECT FROM pg_replication_slots WHERE database = current_database() AND "
                              "confirmed_flush_lsn >= $1::pg_lsn",
                              {lsn.to_string()})
                       .rows() == 1;
        });
    };
    ASSERT_TRUE(comes_true(
        [&] { return connection.query("SELECT FROM keyshift.snapshot WHERE state <> 'done'").rows() == 0; }));
    connection.query("INSERT INTO public.items VALUES (1)");
    ASSERT_TRUE(confirmed(connection.query("SELECT pg_current_wal_lsn()").lsn(0, 0)));
    EXPECT_EQ(installation.stop_daemon(), 0);

    const std::string topic = control_topic(installation.prefix());
    {
        kafka::Producer producer(installation.servers().kafka(), "nonsense", 1U << 20U, std::chrono::milliseconds(0),
                                 [](const kafka::Delivery&) {});
        for (const std::string& text :
             {std::string("nonsense"), std::string("{"), std::string("null"), std::string("[]"), std::string("{}"),
              std::string("{\"type\":\"progress\"}"), std::string("{\"type\":17}"),
              std::string("{\"type\":\"progress\",\"node\":1,\"lsn\":2}"),
              std::string("{\"type\":\"progress\",\"node\":\"n1\",\"lsn\":\"far\",\"timeline\":1}"),
              std::string("\0\xff\xfe", 3), std::string(100'000, '['), std::string()}) {
            kafka::Record record;
            record.topic = topic;
            record.partition = 0;
            record.key = "n1";
            record.value = text;
            ASSERT_TRUE(producer.try_produce(record));
        }
        ASSERT_TRUE(producer.flush(std::chrono::seconds(30)));
    }
    connection.query("INSERT INTO public.items VALUES (2)");
    installation.start_daemon();
    connection.query("INSERT INTO public.items VALUES (3)");
    ASSERT_TRUE(confirmed(connection.query("SELECT pg_current_wal_lsn()").lsn(0, 0)))
        << installation.json({"cdc", "status"}).dump();
    EXPECT_TRUE(comes_true([&] { return installation.json({"cdc", "status"}).at(0).at("state") == "streaming"; }));
    EXPECT_EQ(installation.stop_daemon(), 0);
    const Finished read =
        run_program({"/usr/bin/env", "kcat", "-b", installation.servers().kafka().at("bootstrap.servers"), "-C", "-t",
                     installation.prefix() + ".public.items", "-o", "beginning", "-e", "-q", "-f", "%k\n"});
    std::vector<std::string> keys;
    std::istringstream lines(read.out);
    for (std::string line; std::getline(lines, line);) {
        keys.push_back(line);
    }
    EXPECT_THAT(keys, testing::UnorderedElementsAre("{\"id\":1}", "{\"id\":2}", "{\"id\":3}"));
}

} // namespace
} // namespace keyshift::test
