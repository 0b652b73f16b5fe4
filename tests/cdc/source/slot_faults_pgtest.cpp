#include "core/json.hpp"
#include "core/pg/replication_connection.hpp"
#include "tests/cdc/source/own_slot.hpp"
#include "tests/cdc/source/stream_fixture.hpp"
#include "tests/support/tcp_proxy.hpp"

#include <fmt/core.h>
#include <gmock/gmock.h>

#include <algorithm>

namespace keyshift::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

class SlotFaults : public StreamTest {
protected:
    SlotFaults() { set_up_captured(kItems, {"items"}); }

    bool snapshot_is_done()
    {
        return eventually(
            [&] { return one(cluster_.catalog(), "SELECT bool_and(state = 'done') FROM keyshift.snapshot") == "t"; },
            30s);
    }
    void insert(int id) { node().query("INSERT INTO public.items VALUES ($1::int, 'x')", {std::to_string(id)}); }
    bool arrives(int id)
    {
        return eventually(
            [&] {
                return std::ranges::any_of(kafka_.events(),
                                           [&](const FakeEvent& event) { return event.key == std::to_string(id); });
            },
            30s);
    }
    std::string error_of_status()
    {
        const auto error = running_->stream().status().error;
        return error ? error->why : "";
    }
};

TEST_F(SlotFaults, ASlotInUseElsewhereIsWaitedForNamingTheProcess)
{
    auto other = std::make_unique<pg::ReplicationConnection>(cluster_.database(0).settings("other"));
    other->start(slot(), slot(), {});
    start();
    const std::string pid =
        node()
            .query("SELECT active_pid FROM pg_catalog.pg_replication_slots WHERE slot_name = $1", {slot()})
            .text(0, 0)
            .data();
    EXPECT_TRUE(eventually([&] { return error_of_status().find(pid) != std::string::npos; }, 30s)) << error_of_status();
    other.reset();
    EXPECT_TRUE(running_->wait_state("streaming", 30s));
    insert(1);
    EXPECT_TRUE(arrives(1));
}

TEST_F(SlotFaults, ASlotThatAStrangerAdvancedIsAGapUntilItIsRecovered)
{
    start();
    ASSERT_TRUE(snapshot_is_done());
    insert(1);
    ASSERT_TRUE(wait_confirmed(current()));
    stop();
    const Lsn position = kafka_.progress("n1").value();
    insert(2);
    node().query("SELECT pg_catalog.pg_replication_slot_advance($1, pg_catalog.pg_current_wal_lsn())", {slot()});
    const auto error = start().fatal_error();
    ASSERT_TRUE(error);
    EXPECT_THAT(error->why, AllOf(HasSubstr(position.to_string()), HasSubstr(confirmed().to_string())));
    EXPECT_THAT(error->next, HasSubstr("keyshift cdc recover n1"));
    stop();

    catalog::recover_capture(cluster_.catalog(), "n1", false);
    ASSERT_TRUE(start().wait_state("streaming", 30s));
    EXPECT_TRUE(arrives(2)) << "the table is read again";
    ASSERT_TRUE(snapshot_is_done());
    insert(3);
    EXPECT_TRUE(arrives(3));
    ASSERT_TRUE(wait_confirmed(current()));
    stop();
    ASSERT_TRUE(start().wait_state("streaming", 30s)) << "the gap stays accepted";
    const std::vector<std::string> controls = kafka_.controls();
    EXPECT_EQ(std::ranges::count_if(controls, [](const std::string& one) { return one.find("gap") != one.npos; }), 1)
        << "and is told once";
    const std::vector<FakeEvent> events = kafka_.events();
    EXPECT_EQ(std::ranges::find(events, "1", &FakeEvent::key)->position.epoch, Epoch{1});
    EXPECT_EQ(std::ranges::find(events, "3", &FakeEvent::key)->position.epoch, Epoch{2});
}

TEST_F(SlotFaults, APublicationThatIsAlteredWhileItRunsStopsTheStreamAndIsMended)
{
    const std::string publication = "\"" + slot() + "\"";
    const std::vector<std::pair<std::string, std::string>> cases{
        {"DROP TABLE public.items", "is no longer in the publication"},
        {"SET (publish = 'insert')", "does not publish all of"},
        {"SET TABLE public.items WHERE (id < 100)", "a row filter or a column list"},
        {"SET (publish_via_partition_root = true)", "publish_via_partition_root"}};
    int id = 0;
    for (const auto& [change, why] : cases) {
        ASSERT_TRUE(start().wait_state("streaming", 30s));
        insert(++id);
        ASSERT_TRUE(arrives(id)) << change;
        const Lsn before = current();
        node().script("ALTER PUBLICATION " + publication + " " + change);
        const auto error = running_->fatal_error();
        ASSERT_TRUE(error) << change;
        EXPECT_THAT(error->why, AllOf(HasSubstr(why), HasSubstr("changes from "))) << change;
        const std::size_t at = error->why.find("changes from ") + 13;
        const auto sound = Lsn::parse(error->why.substr(at, error->why.find(' ', at) - at));
        ASSERT_TRUE(sound) << error->why;
        EXPECT_LE(sound->value, current().value);
        EXPECT_GE(sound->value + (16U << 20U), before.value);
        // The command that it names.
        const std::size_t sql = error->next.find("ALTER PUBLICATION");
        ASSERT_NE(sql, std::string::npos) << error->next;
        node().script(error->next.substr(sql, error->next.rfind(';', error->next.find("Then")) - sql));
    }
    ASSERT_TRUE(start().wait_state("streaming", 30s));
    insert(++id);
    EXPECT_TRUE(arrives(id));
}

TEST_F(SlotFaults, ABusyNeighbourDatabaseCannotPinTheSlot)
{
    ASSERT_TRUE(start().wait_state("streaming"));
    ASSERT_TRUE(snapshot_is_done());
    const TestDatabase neighbour;
    pg::Connection busy = neighbour.connect("neighbour");
    busy.script("CREATE TABLE public.work (id int, filler text)");
    for (int round = 0; round < 5; ++round) {
        busy.script("INSERT INTO public.work SELECT i, repeat('x', 200) FROM generate_series(1, 5000) i");
    }
    const Lsn end = current();
    EXPECT_TRUE(wait_confirmed(end, 30s));
    // Running-xacts records, each 15 s on an idle server, move the restart position; a checkpoint writes one too.
    EXPECT_TRUE(eventually(
        [&] {
            busy.script("CHECKPOINT");
            return node()
                .query("SELECT restart_lsn >= $2::pg_lsn FROM pg_catalog.pg_replication_slots WHERE slot_name = $1",
                       {slot(), end.to_string()})
                .boolean(0, 0);
        },
        60s));
    EXPECT_TRUE(kafka_.events().empty());
}

TEST_F(SlotFaults, AConnectionThatIsCutHalfOpenIsNoticedAndMadeAnew)
{
    TcpProxy proxy(cluster_.database(0).port());
    catalog::Node through = catalog::node(cluster_.catalog(), "n1");
    through.dsn =
        fmt::format("host=127.0.0.1 port={} user=postgres dbname={}", proxy.port(), cluster_.database(0).name());
    running_ = std::make_unique<RunningStream>(through, cluster_.catalog().settings(), options_);
    ASSERT_TRUE(running_->wait_state("streaming"));
    ASSERT_TRUE(snapshot_is_done());
    proxy.freeze();
    insert(1);
    EXPECT_TRUE(eventually([&] { return error_of_status().find("has not answered") != std::string::npos; }, 60s));
    EXPECT_TRUE(kafka_.events().empty());
    // The server's end of the dead connection holds the slot until its own timeout.
    node().query(
        "SELECT pg_catalog.pg_terminate_backend(active_pid) FROM pg_catalog.pg_replication_slots WHERE slot_name = $1 AND active",
        {slot()});
    proxy.thaw();
    EXPECT_TRUE(arrives(1));
}

TEST_F(SlotFaults, ARowThatPostgresCannotSendStopsTheStreamWithoutEndlessRetries)
{
    node().script("CREATE TABLE public.files (id int PRIMARY KEY, body bytea, more bytea)");
    catalog::capture(cluster_.catalog(), {"files"}, false, {}, false);
    ASSERT_TRUE(start().wait_state("streaming"));
    ASSERT_TRUE(snapshot_is_done());
    insert(1);
    ASSERT_TRUE(arrives(1));
    // 1.2 GB in binary. Nothing takes a value of 600 MB twice into one row but a copy of what is stored compressed.
    node().script("CREATE TABLE public.made AS SELECT pg_catalog.convert_to(repeat('x', 600000000), 'UTF8') body");
    node().script("INSERT INTO public.files SELECT 7, body, body FROM public.made");
    const Lsn after = current();
    insert(2);
    const auto error = running_->fatal_error();
    ASSERT_TRUE(error);
    EXPECT_LT(confirmed(), after);
    EXPECT_THAT(error->what, HasSubstr("node n1"));
    EXPECT_THAT(error->why, AllOf(HasSubstr("above 1 GB"), HasSubstr(slot()), HasSubstr("commits after ")));
    EXPECT_THAT(error->next, HasSubstr("keyshift cdc recover n1"));
    stop();
    // As it says.
    node().script("DELETE FROM public.files");
    catalog::recover_capture(cluster_.catalog(), "n1", false);
    ASSERT_TRUE(start().wait_state("streaming", 30s));
    EXPECT_TRUE(arrives(2));
}

class InvalidatedSlot : public OwnSlot {
protected:
    InvalidatedSlot() : OwnSlot({"max_slot_wal_keep_size = 16MB", "max_wal_size = 32MB", "min_wal_size = 32MB"}) {}
};

TEST_F(InvalidatedSlot, StopsTheStreamAtOnceWhileKafkaIsDownAndIsRecovered)
{
    auto running = start(postgres_);
    pg::Connection connection(postgres_.settings());
    connection.script("INSERT INTO public.items VALUES (1, 'before')");
    ASSERT_TRUE(arrives("1"));
    kafka_.set_up(false);
    for (int round = 0; round < 12; ++round) {
        connection.script("SELECT pg_catalog.pg_logical_emit_message(false, 'filler', repeat('x', 8000000)); "
                          "SELECT pg_catalog.pg_switch_wal(); CHECKPOINT");
    }
    const auto lost = [&] {
        return connection.query("SELECT wal_status = 'lost' FROM pg_catalog.pg_replication_slots").boolean(0, 0);
    };
    ASSERT_TRUE(eventually(
        [&] {
            connection.script("SELECT pg_catalog.pg_switch_wal(); CHECKPOINT");
            return lost();
        },
        60s));
    const auto error = running->fatal_error();
    ASSERT_TRUE(error);
    EXPECT_THAT(error->why, AllOf(HasSubstr("max_slot_wal_keep_size"), HasSubstr("changes from ")));
    EXPECT_THAT(error->next, HasSubstr("keyshift cdc recover n1"));
    running.reset();
    connection.script("INSERT INTO public.items VALUES (2, 'in the gap')");
    kafka_.set_up(true);
    catalog::recover_capture(connection, "n1", false);
    running = start(postgres_);
    EXPECT_TRUE(arrives("2"));
}

using LoweredWalLevel = OwnSlot;

TEST_F(LoweredWalLevel, KeepsTheServerDownAndTheStreamGoesOnOnceItIsLogicalAgain)
{
    auto running = start(postgres_);
    ASSERT_TRUE(running->wait_state("streaming"));
    {
        pg::Connection connection(postgres_.settings());
        connection.script("ALTER SYSTEM SET wal_level = replica");
    }
    postgres_.stop("fast");
    EXPECT_THROW(postgres_.start(), std::runtime_error) << "PostgreSQL does not start with a logical slot";
    EXPECT_TRUE(running->wait_state("waiting"));
    postgres_.forget_system_settings();
    postgres_.start();
    pg::Connection connection(postgres_.settings());
    connection.script("INSERT INTO public.items VALUES (1, 'after')");
    EXPECT_TRUE(arrives("1"));
}

} // namespace
} // namespace keyshift::test
