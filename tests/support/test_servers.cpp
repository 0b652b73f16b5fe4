#include "tests/support/test_servers.hpp"

#include "core/backoff.hpp"
#include "core/names.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <random>
#include <stdexcept>

namespace keyshift::test {

using namespace std::chrono_literals;

TestServers::TestServers()
{
    const char* directory = std::getenv("KEYSHIFT_TEST_SERVERS");
    std::ifstream file(fmt::format("{}/env", directory == nullptr ? "" : directory));
    for (std::string line; std::getline(file, line);) {
        const std::size_t equals = line.find('=');
        values_[line.substr(0, equals)] = line.substr(equals + 1);
    }
    if (values_.empty()) {
        throw std::runtime_error(
            "no test servers: run this test through ctest, which starts them, or set KEYSHIFT_TEST_SERVERS");
    }
}

int TestServers::postgres_port(int server) const
{
    return std::stoi(values_.at(fmt::format("PG{}_PORT", server)));
}

std::string unique_name(const std::string& beginning)
{
    static std::random_device random;
    return fmt::format("{}_{:08x}", beginning, random());
}

DatabaseOwner usual_owner()
{
    const char* wanted = std::getenv("KEYSHIFT_TEST_OWNER");
    return wanted != nullptr && std::string(wanted) == "plain" ? DatabaseOwner::plain : DatabaseOwner::superuser;
}

TestDatabase::TestDatabase(int server, const std::string& beginning, DatabaseOwner owner)
    : port_(servers_.postgres_port(server)), role_(owner == DatabaseOwner::plain ? "keyshift_plain" : "postgres"),
      name_(unique_name(beginning))
{
    pg::Connection maintenance(
        {"server", fmt::format("host=127.0.0.1 port={} user=postgres dbname=postgres", port_), "", "test"});
    if (owner == DatabaseOwner::plain) {
        // Of the server, for every test: another may be making it just now.
        maintenance.script("DO $$ BEGIN CREATE ROLE keyshift_plain LOGIN REPLICATION CREATEDB; "
                           "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$");
    }
    maintenance.query(fmt::format("CREATE DATABASE {} OWNER {}", quote_identifier(name_), quote_identifier(role_)));
}

TestDatabase::~TestDatabase()
{
    try {
        pg::Connection maintenance(
            {"server", fmt::format("host=127.0.0.1 port={} user=postgres dbname=postgres", port_), "", "test"});
        maintenance.query(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = $1 AND active",
            {name_});
        for (int tries = 0; tries < 50; ++tries) {
            try {
                maintenance.query(
                    "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = $1",
                    {name_});
                break;
            } catch (const Error&) {
                sleep_for(100ms, {});
            }
        }
        maintenance.query("DROP DATABASE IF EXISTS " + quote_identifier(name_) + " WITH (FORCE)");
    } catch (const Error& error) {
        fmt::print(stderr, "cleaning up {}: {}\n", name_, error.what());
    }
}

std::string TestDatabase::conninfo_as(const std::string& role) const
{
    return fmt::format("host=127.0.0.1 port={} user={} dbname={}", port_, role, name_);
}

std::vector<kafka::Message> read_topic(const kafka::Settings& settings, const std::string& topic, std::size_t expected)
{
    kafka::Consumer consumer(settings, unique_name("reader"));
    auto give_up = std::chrono::steady_clock::now() + 10s;
    while (consumer.partitions(topic) == 0 && expected > 0 && std::chrono::steady_clock::now() < give_up) {
        sleep_for(50ms, {});
    }
    std::vector<kafka::Message> messages;
    std::vector<kafka::TopicPartition> from;
    std::vector<std::int64_t> ends;
    for (int partition = 0; partition < consumer.partitions(topic); ++partition) {
        const auto [first, end] = consumer.watermarks(topic, partition);
        from.push_back({topic, partition, first});
        ends.push_back(end);
    }
    consumer.assign(from);
    const auto all_read = [&] {
        return std::ranges::all_of(from, [&](const kafka::TopicPartition& next) {
            return consumer.passed(topic, next.partition, next.offset, ends[static_cast<std::size_t>(next.partition)]);
        });
    };
    while ((messages.size() < expected || !all_read()) && std::chrono::steady_clock::now() < give_up) {
        for (kafka::Message& message : consumer.poll(1000, 100ms)) {
            from[static_cast<std::size_t>(message.partition)].offset = message.offset + 1;
            messages.push_back(std::move(message));
            give_up = std::chrono::steady_clock::now() + 10s; // of silence
        }
    }
    // How partitions interleave is chance.
    std::ranges::stable_sort(messages, {}, &kafka::Message::partition);
    return messages;
}

} // namespace keyshift::test
