#include "bench/debezium.hpp"

#include "core/backoff.hpp"
#include "core/change_event.hpp"
#include "core/error.hpp"

#include <chrono>
#include <map>

namespace keyshift::bench {

namespace {

using namespace std::chrono_literals;

} // namespace

Debezium::Debezium(const demo::Settings& settings, const std::string& table, const std::string& snapshot_mode)
    : settings_(settings), table_(table)
{
    const std::string converter = "org.apache.kafka.connect.json.JsonConverter";
    const std::map<std::string, std::string> options{
        {"connector.class", "io.debezium.connector.postgresql.PostgresConnector"},
        {"tasks.max", "1"},
        {"database.hostname", "127.0.0.1"},
        {"database.port", std::to_string(settings.server("n1").port)},
        {"database.user", "postgres"},
        {"database.password", "unused"},
        {"database.dbname", settings.database},
        {"topic.prefix", kPrefix},
        {"plugin.name", "pgoutput"},
        {"slot.name", slot()},
        {"publication.name", slot()},
        {"publication.autocreate.mode", "filtered"},
        {"table.include.list", "public." + table},
        {"snapshot.mode", snapshot_mode},
        {"max.batch.size", "8192"},
        {"max.queue.size", "32768"},
        {"poll.interval.ms", "50"},
        {"producer.override.compression.type", "lz4"},
        {"topic.creation.default.partitions", "4"},
        {"topic.creation.default.replication.factor", "1"},
        {"key.converter", converter},
        {"key.converter.schemas.enable", "false"},
        {"value.converter", converter},
        {"value.converter.schemas.enable", "false"}};
    connector_.emplace(slot(), options);
}

Debezium::~Debezium()
{
    connector_.reset();
    try {
        pg::Connection node(settings_.connection("n1", "bench"));
        for (int tries = 0; tries < 100; ++tries) {
            const pg::Result left = node.query(
                "SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots WHERE slot_name = $1 AND NOT active",
                {slot()});
            if (left.rows() > 0) {
                return;
            }
            sleep_for(100ms, {});
        }
    } catch (const Error&) {
        // The servers are thrown away anyway.
    }
}

void Debezium::stop()
{
    connector_->stop();
    pg::Connection node(settings_.connection("n1", "bench"));
    while (node.query("SELECT FROM pg_catalog.pg_replication_slots WHERE slot_name = $1 AND active", {slot()}).rows() >
           0) {
        sleep_for(100ms, {});
    }
}

void Debezium::wait_streaming() const
{
    pg::Connection node(settings_.connection("n1", "bench"));
    while (
        node.query(
                "SELECT FROM pg_catalog.pg_replication_slots JOIN pg_catalog.pg_stat_replication ON pid = active_pid "
                "WHERE slot_name = $1 AND state IN ('catchup', 'streaming')",
                {slot()})
            .rows() == 0) {
        sleep_for(100ms, {});
    }
}

std::string Debezium::topic() const
{
    return data_topic(kPrefix, "public", table_);
}

} // namespace keyshift::bench
