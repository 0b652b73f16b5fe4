#include "tests/contract/oracle.hpp"

#include <fmt/core.h>

#include <cstdlib>
#include <stdexcept>

namespace keyshift::test {

namespace {

using Options = std::map<std::string, std::string>;

/// What every case has in common; a case's own options come on top.
Options connector_options(const ContractCase& one, const Installation& installation)
{
    const TestDatabase& database = installation.database();
    const std::string converter = "org.apache.kafka.connect.json.JsonConverter";
    const std::string schemas = one.schemas() ? "true" : "false";
    Options options{{"connector.class", "io.debezium.connector.postgresql.PostgresConnector"},
                    {"tasks.max", "1"},
                    {"database.hostname", "127.0.0.1"},
                    {"database.port", std::to_string(database.port())},
                    {"database.user", "postgres"},
                    {"database.password", "unused"},
                    {"database.dbname", database.name()},
                    {"topic.prefix", installation.prefix()},
                    {"plugin.name", "pgoutput"},
                    {"slot.name", "oracle_" + database.name()},
                    {"publication.name", "oracle"},
                    {"publication.autocreate.mode", "filtered"},
                    {"schema.exclude.list", "keyshift"},
                    {"message.prefix.exclude.list", "keyshift.*"},
                    {"snapshot.mode", "no_data"},
                    {"poll.interval.ms", "50"},
                    {"topic.creation.default.partitions", "4"},
                    {"topic.creation.default.replication.factor", "1"},
                    {"key.converter", converter},
                    {"key.converter.schemas.enable", schemas},
                    {"value.converter", converter},
                    {"value.converter.schemas.enable", schemas}};
    for (const auto& [name, value] : one.debezium) {
        options[name] = value;
    }
    return options;
}

} // namespace

bool Oracle::present()
{
    return std::getenv("KEYSHIFT_ORACLE") != nullptr;
}

Oracle::Oracle(const ContractCase& one, const Installation& installation)
    : connector_(servers_.oracle_port(), installation.prefix(), connector_options(one, installation))
{
    // A slot is active also while it is being created.
    bool streams = false;
    const auto settled = [&] {
        streams = installation.connect()
                      .query("SELECT FROM pg_replication_slots JOIN pg_stat_replication ON pid = active_pid "
                             "WHERE slot_name = $1 AND state IN ('catchup', 'streaming')",
                             {"oracle_" + installation.database().name()})
                      .rows() == 1;
        return streams || connector_.failed();
    };
    if (!comes_true(settled, 240) || !streams) {
        throw std::runtime_error("Debezium does not stream: " + status());
    }
}

bool Oracle::has_written(Lsn end) const
{
    // Its slot's position says less: it moves with keepalive messages while records are still on their way.
    const auto offsets = nlohmann::json::parse(connector_.offsets()).value("offsets", nlohmann::json::array());
    return !offsets.empty() && offsets[0].at("offset").value("lsn", std::uint64_t{0}) >= end.value;
}

} // namespace keyshift::test
