#include "bench/jdbc_sink.hpp"
#include "bench/moves.hpp"
#include "bench/projections.hpp"

#include "core/backoff.hpp"
#include "core/change_event.hpp"
#include "core/kafka/client.hpp"
#include "demo/screen.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <vector>

namespace keyshift::bench {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
constexpr int kRows = 20'000;
constexpr int kBuckets = 16;
/// Rows that are written last at each stage, in every partition: whoever shows them has all that came before.
constexpr int kMarks = 200;
constexpr int kLateOneIn = 10;
const std::vector<std::string> kNodes{"n1", "n2"};
constexpr const char* kName = "fed_by_user";
constexpr const char* kProjection = "public.fed_by_user";
constexpr const char* kByUser = "fed_jdbc_by_user"; ///< the sink's table with the projection's key
constexpr const char* kByPost = "fed_jdbc_by_post"; ///< with the key of the table itself

/// A donor keeps what it gave away for a while.
constexpr const char* kOwned = " AND keyshift.owns('public.fed', post_id::text)";

/// user_id, id, post_id -> content
using Rows = std::map<std::string, std::string>;

class Faults {
public:
    explicit Faults(const Bench& bench);

    /// Re-keys, deletes, and half of the buckets moved in between.
    void write();
    /// All that the topic holds, in its order.
    void deliver_again();
    /// One record in ten of the topic once more at its end, in no order.
    long long deliver_late();
    /// The row of the report once all have what there is.
    Measured compare(const std::string& after, const std::string& stage);

private:
    /// A statement that ends in its WHERE, on each node for the rows that it owns.
    void on_owners(const std::string& sql);
    Rows rows(const std::string& relation, const std::vector<std::string>& nodes) const;
    void wait_projection_shows(const std::string& stage) const;

    const Bench& bench_;
    const WithSchemas schemas_;
    std::optional<JdbcSink> by_user_;
    std::optional<JdbcSink> by_post_;
};

long long different(const Rows& definition, const Rows& kept)
{
    long long count = 0;
    for (const auto& [key, content] : definition) {
        const auto found = kept.find(key);
        count += found == kept.end() || found->second != content ? 1 : 0;
    }
    for (const auto& [key, content] : kept) {
        count += definition.contains(key) ? 0 : 1;
    }
    return count;
}

Faults::Faults(const Bench& bench) : bench_(bench)
{
    pg::Connection node(bench.settings.connection("n1", "bench"));
    node.script(fmt::format(
        "CREATE TABLE public.fed (post_id uuid, id int, user_id int NOT NULL, content text, PRIMARY KEY (post_id, id)); "
        "CREATE TABLE public.{} (user_id int, id int, post_id uuid, content text, PRIMARY KEY (user_id, id, post_id)); "
        "CREATE TABLE public.{} (user_id int, id int, post_id uuid, content text, PRIMARY KEY (post_id, id))",
        kByUser, kByPost));
    bench.program.run(
        {"table", "distribute", "fed", "--key", "post_id", "--buckets", std::to_string(kBuckets), "--offline"});
    ready_for_moves(bench, "n2");
    bench.program.run({"projection", "create", kName, "--key", "user_id", "--apply", "--wait", "--sql",
                       "SELECT user_id, id, post_id, content FROM fed"});
    node.query(fmt::format("INSERT INTO public.fed SELECT gen_random_uuid(), i, i % 1000, 'first' FROM "
                           "generate_series(1, {}) i",
                           kRows));
    wait_captured(bench);
    by_user_.emplace(bench.settings, "fed", kByUser, "user_id,id,post_id");
    by_post_.emplace(bench.settings, "fed", kByPost);
}

void Faults::on_owners(const std::string& sql)
{
    for (const std::string& name : kNodes) {
        pg::Connection(bench_.settings.connection(name, "bench")).query(sql + kOwned);
    }
}

void Faults::write()
{
    on_owners("UPDATE public.fed SET content = 'second' WHERE id % 3 = 0");
    on_owners("UPDATE public.fed SET user_id = user_id + 1000 WHERE id % 10 = 1");
    reshard(bench_, {"--group", "fed", "--buckets", bucket_list(0, kBuckets / 2), "--to", "n2"});
    on_owners("UPDATE public.fed SET content = 'third' WHERE id % 3 = 1");
    on_owners("UPDATE public.fed SET user_id = user_id + 2000 WHERE id % 10 = 2");
    on_owners("DELETE FROM public.fed WHERE id % 20 = 3");
}

void Faults::deliver_again()
{
    bench_.daemon.stop();
    for (const std::string& name : kNodes) {
        pg::Connection(bench_.settings.connection(name, "bench"))
            .query("UPDATE keyshift.projection_progress SET next_offset = 0 WHERE projection = $1", {kName});
    }
    bench_.daemon.start();
    for (JdbcSink* sink : {&*by_user_, &*by_post_}) {
        sink->stop();
        sink->forget_place();
        sink->resume();
    }
}

/// The records of a topic as they are, to the end.
std::vector<kafka::Message> read_all(const demo::Settings& settings, const std::string& topic)
{
    kafka::Consumer consumer(settings.kafka(), "bench");
    std::vector<kafka::TopicPartition> from;
    for (int partition = 0; partition < consumer.partitions(topic); ++partition) {
        from.push_back({topic, partition, 0});
    }
    consumer.assign(from);
    std::vector<kafka::Message> all;
    auto heard = Clock::now();
    while (seconds_since(heard) < 5) {
        for (kafka::Message& message : consumer.poll(10'000, 500ms)) {
            heard = Clock::now();
            all.push_back(std::move(message));
        }
    }
    return all;
}

void produce(const demo::Settings& settings, const std::vector<const kafka::Message*>& messages)
{
    kafka::Producer producer(settings.kafka(), "bench", 64U << 20U, 5ms, [](const kafka::Delivery& delivery) {
        if (delivery.error) {
            throw FatalError(*delivery.error);
        }
    });
    for (const kafka::Message* message : messages) {
        std::vector<kafka::Header> headers;
        for (const auto& [name, value] : message->headers) {
            headers.push_back({name, value});
        }
        const kafka::Record record{message->topic, message->partition, message->key, message->value, headers};
        while (!producer.try_produce(record)) {
            producer.poll(100ms);
        }
    }
    if (!producer.flush(30s)) {
        throw FatalError({"writing late records", "Kafka did not take them within 30 s", "Read the broker's log."});
    }
}

long long Faults::deliver_late()
{
    const std::vector<kafka::Message> all =
        read_all(bench_.settings, data_topic(bench_.settings.prefix, "public", "fed"));
    std::mt19937 random(7);
    std::vector<const kafka::Message*> late;
    for (const kafka::Message& message : all) {
        if (random() % kLateOneIn == 0) {
            late.push_back(&message);
        }
    }
    std::ranges::shuffle(late, random);
    produce(bench_.settings, late);
    return static_cast<long long>(late.size());
}

Rows Faults::rows(const std::string& relation, const std::vector<std::string>& nodes) const
{
    Rows all;
    for (const std::string& name : nodes) {
        pg::Connection node(bench_.settings.connection(name, "bench"));
        const pg::Result found = node.query("SELECT ROW(user_id, id, post_id)::text, content FROM " + relation);
        for (int row = 0; row < found.rows(); ++row) {
            all.emplace(found.text(row, 0), found.text(row, 1));
        }
    }
    return all;
}

void Faults::wait_projection_shows(const std::string& stage) const
{
    const auto begin = Clock::now();
    for (long long shown = 0; shown < kMarks; sleep_for(200ms, {})) {
        if (seconds_since(begin) > 120) {
            throw FatalError(
                {fmt::format("projection {}", kName), "it does not come to the last rows", "Read daemon.log."});
        }
        shown = std::ranges::count_if(rows(kProjection, kNodes), [&](const auto& row) { return row.second == stage; });
    }
}

Measured Faults::compare(const std::string& after, const std::string& stage)
{
    on_owners(fmt::format("UPDATE public.fed SET content = '{}' WHERE id % {} = 0", stage, kRows / kMarks));
    by_user_->wait_content(stage, kMarks);
    by_post_->wait_content(stage, kMarks);
    wait_projection_shows(stage);
    const Rows definition = rows(fmt::format("public.fed WHERE true{}", kOwned), kNodes);
    const auto wrong = [&](const std::string& table) {
        return different(definition, rows("public." + table, {"n1"}));
    };
    const long long ours = different(definition, rows(kProjection, kNodes));
    return {fmt::format("rows that differ from the definition's {}, {}",
                        demo::grouped(static_cast<long long>(definition.size())), after),
            fmt::format("JDBC sink by user {}, by the table's key {}", demo::grouped(wrong(kByUser)),
                        demo::grouped(wrong(kByPost))),
            std::to_string(ours),
            "",
            "0",
            ours == 0};
}

} // namespace

std::vector<Measured> bench_projection_faults(const Bench& bench)
{
    if (!Connector::worker_present()) {
        return {};
    }
    Faults faults(bench);
    std::vector<Measured> measured;
    faults.write();
    measured.push_back(
        faults.compare("once keys of rows have changed, rows are gone and half of the buckets have moved", "end 1"));
    faults.deliver_again();
    measured.push_back(faults.compare("once the whole topic has been delivered again", "end 2"));
    const long long late = faults.deliver_late();
    measured.push_back(faults.compare(
        fmt::format("once {} records of the topic came late, once more and in no order", demo::grouped(late)),
        "end 3"));
    bench.daemon.stop();
    return measured;
}

} // namespace keyshift::bench
