#include "bench/debezium.hpp"

#include "core/backoff.hpp"
#include "core/change_event.hpp"
#include "core/error.hpp"
#include "demo/http.hpp"

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdlib>

namespace keyshift::bench {

namespace {

using namespace std::chrono_literals;

const char* port_text()
{
    return std::getenv("CONNECT_PORT");
}

} // namespace

bool Debezium::present()
{
    return port_text() != nullptr;
}

Debezium::Debezium(const demo::Settings& settings, const std::string& table, const std::string& snapshot_mode)
    : port_(std::atoi(port_text())), settings_(settings), table_(table)
{
    const std::string converter = "org.apache.kafka.connect.json.JsonConverter";
    const nlohmann::json options{{"connector.class", "io.debezium.connector.postgresql.PostgresConnector"},
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
    demo::HttpAnswer made;
    // The worker's port is open before its paths are there.
    for (int tries = 0; tries < 600 && made.status != 201; ++tries) {
        made = demo::http(port_, "PUT", "/connectors/" + slot() + "/config", options.dump());
        if (made.status != 201) {
            sleep_for(100ms, {});
        }
    }
    if (made.status != 201) {
        throw FatalError({"starting Debezium", made.body, "Read the Kafka Connect worker's log."});
    }
}

Debezium::~Debezium()
{
    demo::http(port_, "DELETE", "/connectors/" + slot());
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
    demo::http(port_, "PUT", "/connectors/" + slot() + "/stop");
    pg::Connection node(settings_.connection("n1", "bench"));
    while (node.query("SELECT FROM pg_catalog.pg_replication_slots WHERE slot_name = $1 AND active", {slot()}).rows() >
           0) {
        sleep_for(100ms, {});
    }
}

void Debezium::resume()
{
    demo::http(port_, "PUT", "/connectors/" + slot() + "/resume");
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
