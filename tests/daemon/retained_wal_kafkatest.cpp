// Kafka is away for a while: the WAL that waits for it is seen, and what happens at the server's limit is said.
#include "core/change_event.hpp"
#include "tests/daemon/installation.hpp"
#include "tests/support/private_kafka.hpp"
#include "tests/support/private_postgres.hpp"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace keyshift::test {
namespace {

using testing::HasSubstr;
using testing::Not;
using Rows = std::map<std::string, std::string>;

class RetainedWal : public testing::Test {
protected:
    RetainedWal()
    {
        installation_.use_broker(broker_.settings());
        installation_.must({"init"});
        node_.script("CREATE TABLE public.log (id bigint PRIMARY KEY, line text)");
        installation_.must({"node", "add", "n1", "--dsn", postgres_.conninfo()});
        installation_.must({"table", "capture", "log"});
        installation_.connect().script("UPDATE keyshift.snapshot SET state = 'done'");
        installation_.start_daemon();
    }
    /// `megabytes` of WAL in as many rows.
    void write(int megabytes)
    {
        for (int number = 0; number < megabytes; ++number) {
            ++next_;
            node_.script(
                fmt::format("INSERT INTO public.log SELECT {0}, string_agg(md5(i::text), '') FROM "
                            "generate_series(1, 10000) i; UPDATE public.log SET line = left(line, 10) WHERE id "
                            "= {0} - 1; SELECT pg_logical_emit_message(false, 'filler', repeat('x', 600000))",
                            next_));
        }
    }
    Rows fold() const
    {
        Rows rows;
        for (const kafka::Message& message : read_topic(broker_.settings(), installation_.prefix() + ".public.log")) {
            const auto event = nlohmann::json::parse(message.value.value());
            rows[event.at("after").at("id").dump()] = event.at("after").at("line");
        }
        return rows;
    }
    bool fold_is_table()
    {
        Rows rows;
        const pg::Result all = node_.query("SELECT id, line FROM public.log");
        for (int row = 0; row < all.rows(); ++row) {
            rows[std::string(all.text(row, 0))] = all.text(row, 1);
        }
        return comes_true([&] { return fold() == rows; }, 90);
    }
    nlohmann::json stream() const { return installation_.json({"cdc", "status"}).at(0); }
    std::string doctor() const { return installation_.keyshift({"doctor", "-o", "json"}).out; }

    PrivateKafka broker_;
    PrivatePostgres postgres_{{"max_slot_wal_keep_size = 96MB", "max_wal_size = 32MB", "min_wal_size = 32MB"}};
    Installation installation_;
    pg::Connection node_{postgres_.settings()};
    int next_ = 0;
};

TEST_F(RetainedWal, IsSeenWhileKafkaIsAwayAndEndsAtTheServersLimitWithAGapThatIsNamed)
{
    write(2);
    ASSERT_TRUE(fold_is_table());
    EXPECT_THAT(doctor(), Not(HasSubstr("wal_nearly_lost")));
    broker_.kill();
    write(70);
    EXPECT_TRUE(comes_true([&] { return stream().at("retained_bytes") > 60'000'000; })) << stream().dump();
    EXPECT_EQ(stream().at("state"), "waiting");
    EXPECT_THAT(doctor(), HasSubstr("wal_nearly_lost"));
    EXPECT_THAT(installation_.get("/metrics").body, HasSubstr("keyshift_slot_retained_bytes{node=\"n1\"}"));
    broker_.resume();
    ASSERT_TRUE(fold_is_table()) << "in time: nothing is lost";
    EXPECT_TRUE(comes_true([&] { return doctor().find("wal_nearly_lost") == std::string::npos; }, 60)) << doctor();

    broker_.kill();
    const auto lost = [&] {
        write(20);
        node_.script("SELECT pg_switch_wal(); CHECKPOINT");
        return node_.query("SELECT wal_status = 'lost' FROM pg_replication_slots").boolean(0, 0);
    };
    ASSERT_TRUE(comes_true(lost, 90)) << "no checkpoint waits for the stream";
    ASSERT_TRUE(comes_true([&] { return stream().at("state") == "stopped"; }, 90)) << stream().dump();
    broker_.resume();
    ASSERT_TRUE(comes_true([&] { return stream().at("state") == "stopped"; }, 90)) << stream().dump();
    const auto error = stream().at("error");
    EXPECT_THAT(error.at("why"), HasSubstr("max_slot_wal_keep_size"));
    EXPECT_THAT(error.at("next"), HasSubstr("keyshift cdc recover n1"));
    EXPECT_THAT(doctor(), HasSubstr("slot_lost"));
    installation_.must({"cdc", "recover", "n1", "--yes"});
    EXPECT_TRUE(comes_true([&] { return stream().at("state") == "streaming"; }, 20))
        << "it does not wait out its pause";
    EXPECT_TRUE(fold_is_table()) << "every row was read again";
    EXPECT_EQ(installation_.stop_daemon(), 0);
}

} // namespace
} // namespace keyshift::test
