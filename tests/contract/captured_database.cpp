#include "tests/contract/captured_database.hpp"

#include "core/change_event.hpp"
#include "tests/contract/transaction_topic.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <stdexcept>

namespace keyshift::test {

namespace {

/// The prefix of the logical messages that tell when a stream has passed the last statement.
constexpr std::string_view kEnd = "contract.end";
constexpr int kPartitions = 4;

/// With `heartbeats` also their topic, of which there must be one.
std::vector<std::string> topics(const kafka::Settings& settings, const std::string& prefix, bool heartbeats)
{
    const Finished listed =
        run_program({"/usr/bin/env", "kcat", "-b", settings.at("bootstrap.servers"), "-L", "-J", "-m", "30"});
    if (listed.status != 0) {
        throw std::runtime_error("kcat cannot list topics: " + listed.err);
    }
    std::vector<std::string> names;
    const auto listing = nlohmann::json::parse(listed.out);
    for (const auto& topic : listing.at("topics")) {
        const std::string name = topic.at("topic");
        const bool events = name.starts_with(prefix + ".") && !name.starts_with(prefix + ".keyshift.");
        if (events || (heartbeats && name == heartbeat_topic(prefix))) {
            names.push_back(name);
        }
    }
    return names;
}

/// Every record of these topics, each partition's in order.
std::vector<kafka::Message> read_topics(const kafka::Settings& settings, const std::vector<std::string>& names)
{
    kafka::Consumer consumer(settings, unique_name("reader"));
    std::map<std::pair<std::string, std::int32_t>, std::pair<std::int64_t, std::int64_t>> left; // next, end
    std::vector<kafka::TopicPartition> from;
    for (const std::string& name : names) {
        for (int partition = 0; partition < consumer.partitions(name); ++partition) {
            left[{name, partition}] = consumer.watermarks(name, partition);
            from.push_back({name, partition, left[{name, partition}].first});
        }
    }
    consumer.assign(from);
    std::vector<kafka::Message> messages;
    const auto all_read = [&] {
        for (kafka::Message& message : consumer.poll(1000, std::chrono::milliseconds(100))) {
            left[{message.topic, message.partition}].first = message.offset + 1;
            messages.push_back(std::move(message));
        }
        return std::ranges::all_of(left, [&](const auto& one) {
            const auto& [place, offsets] = one;
            return consumer.passed(place.first, place.second, offsets.first, offsets.second);
        });
    };
    if (!comes_true(all_read, 120)) {
        throw std::runtime_error(fmt::format("not all of {} topics is read", names.size()));
    }
    return messages;
}

/// As the Java client partitions: what this says of a run's keys holds whatever the topic prefix in them.
void check_partition(const kafka::Message& message)
{
    if (message.key && message.partition != kafka::murmur2_partition(*message.key, kPartitions)) {
        throw std::runtime_error(fmt::format("a record of {} is in partition {}, its key's is {}", message.topic,
                                             message.partition, kafka::murmur2_partition(*message.key, kPartitions)));
    }
}

} // namespace

CapturedDatabase::CapturedDatabase(const ContractCase& one) : case_(one) {}

void CapturedDatabase::run_sql(const std::string& file) const
{
    // As psql runs it: statement by statement, each its own transaction.
    const Finished done =
        run_program({installation_.servers().postgres_clients() + "/psql", "-qX", "-v", "ON_ERROR_STOP=1", "-d",
                     installation_.database().conninfo(), "-f", contract_file(file)},
                    {}, std::chrono::seconds(120));
    if (done.status != 0) {
        throw std::runtime_error(file + ": " + done.err);
    }
}

void CapturedDatabase::run()
{
    run_sql(case_.sql + ".setup.sql");
    installation_.set_up();
    Environment environment = case_.environment();
    if (!case_.salt.empty()) {
        const std::string file = installation_.directory().write("salt", case_.salt + "\n");
        std::filesystem::permissions(file, std::filesystem::perms(0600));
        environment["KEYSHIFT_CDC__HASH_SALT_FILE"] = file;
    }
    for (std::vector<std::string> arguments : case_.capture) {
        arguments.insert(arguments.begin(), {"table", "capture"});
        if (const Finished done = installation_.keyshift(arguments, environment); done.status != 0) {
            throw std::runtime_error(done.err);
        }
    }
    installation_.start_daemon(environment);
    wait_for_existing_rows();
    if (Oracle::present()) {
        oracle_.emplace(case_, installation_);
    }
    run_sql(case_.sql + ".sql");
    wait_until_all_is_written();
}

void CapturedDatabase::wait_for_existing_rows() const
{
    const auto read = [&] {
        return installation_.connect().query("SELECT FROM keyshift.snapshot WHERE state <> 'done'").rows() == 0;
    };
    if (!comes_true(read, 120)) {
        throw std::runtime_error("existing rows are not read:\n" + installation_.json({"cdc", "status"}).dump());
    }
}

void CapturedDatabase::wait_until_all_is_written() const
{
    pg::Connection connection = installation_.connect();
    const Lsn end = connection.query("SELECT pg_current_wal_lsn()").lsn(0, 0);
    const auto written = [&] {
        // A position moves on with the next event only.
        connection.query("SELECT pg_logical_emit_message(false, $1, '')", {std::string(kEnd)});
        const bool confirmed = connection
                                   .query("SELECT FROM pg_replication_slots WHERE database = current_database() AND "
                                          "slot_name LIKE 'keyshift%' AND confirmed_flush_lsn >= $1::pg_lsn",
                                          {end.to_string()})
                                   .rows() == 1;
        return confirmed && (!oracle_ || oracle_->has_written(end));
    };
    if (!comes_true(written, 180)) {
        throw std::runtime_error(fmt::format("not everything is written up to {}: {} {}", end.to_string(),
                                             installation_.json({"cdc", "status"}).dump(),
                                             oracle_ ? oracle_->status() : ""));
    }
}

GoldenRecords CapturedDatabase::keyshift_records() const
{
    return records(installation_.servers().kafka());
}

GoldenRecords CapturedDatabase::debezium_records() const
{
    return records(installation_.servers().oracle_kafka());
}

GoldenRecords CapturedDatabase::records(const kafka::Settings& settings) const
{
    GoldenRecords records;
    const std::string heartbeats = heartbeat_topic(installation_.prefix());
    std::vector<kafka::Message> read;
    const auto all_there = [&] {
        read = read_topics(settings, topics(settings, installation_.prefix(), case_.heartbeats()));
        return !case_.heartbeats() || std::ranges::count(read, heartbeats, &kafka::Message::topic) > 1;
    };
    if (!comes_true(all_there, 60)) {
        throw std::runtime_error("there are no heartbeats in " + heartbeats);
    }
    for (const kafka::Message& message : transactions_in_wal_order(read, installation_.prefix())) {
        if (message.topic == heartbeats) {
            // Their number is that of the clock: each of their forms once.
            auto& forms = records[{"HEARTBEAT", kAnyPartition}];
            const GoldenRecord form = golden_form(message, installation_.prefix(), installation_.database().name());
            if (std::ranges::find(forms, form) == forms.end()) {
                forms.push_back(form);
            }
            continue;
        }
        const std::string name = message.topic.substr(installation_.prefix().size() + 1);
        if (name == "message" && message.key && message.key->find(kEnd) != std::string::npos) {
            continue;
        }
        check_partition(message);
        // With schemas a key has the topic prefix in it, and so the partition depends on the run.
        const bool any_partition = !message.key || case_.schemas() || name == "transaction";
        records[{name, any_partition ? kAnyPartition : message.partition}].push_back(
            golden_form(message, installation_.prefix(), installation_.database().name()));
    }
    return records;
}

} // namespace keyshift::test
