#include "bench/debezium.hpp"
#include "bench/measured.hpp"
#include "bench/topic_reader.hpp"
#include "bench/workload.hpp"

#include "core/change_event.hpp"
#include "demo/screen.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>

namespace keyshift::bench {

namespace {

using Clock = std::chrono::steady_clock;
constexpr int kChanges = 300'000;
constexpr int kRounds = 4;
/// The broker and Debezium compile their hot paths while they work: the first records of their lives are no measure.
constexpr int kWarmUpChanges = 200'000;

/// Seconds from the first to the last byte of what pg_recvlogical receives, thrown away.
double receive_raw(const Bench& bench, const std::string& slot, const std::string& publication, Lsn end)
{
    const std::string command = fmt::format(
        "{}/pg_recvlogical -h 127.0.0.1 -p {} -U postgres -d {} --slot={} --start --endpos={} -o proto_version=1 "
        "-o publication_names={} --no-loop -f -",
        std::getenv("PG_CLIENT_BIN"), bench.settings.server("n1").port, bench.settings.database, slot, end.to_string(),
        publication);
    std::FILE* pipe = ::popen(command.c_str(), "r");
    std::optional<Clock::time_point> first;
    std::array<char, 1U << 16U> buffer{};
    while (std::fread(buffer.data(), 1, buffer.size(), pipe) > 0) {
        first = first.value_or(Clock::now());
    }
    const double seconds = first ? seconds_since(*first) : 0;
    if (::pclose(pipe) != 0 || !first) {
        throw FatalError({"pg_recvlogical", "it failed", "Read what it printed."});
    }
    return seconds;
}

/// One workload drained by pg_recvlogical, by the daemon and by Debezium, each with a slot of its own on the same changes.
class Drain {
public:
    Drain(const Bench& bench, const Workload& workload)
        : bench_(bench), workload_(workload), node_(bench.settings.connection("n1", "bench"))
    {
        node_.script(workload_.create);
        // A plan that was made while the table was empty is used for the whole load.
        node_.script("SET enable_seqscan = off");
        const std::string topic = data_topic(bench.settings.prefix, "public", workload_.table);
        make_topic(bench.settings, topic);
        bench_.program.run({"table", "capture", workload_.table});
        bench_.daemon.start();
        startup_cpu_ = bench_.daemon.cpu_seconds();
        bench_.wait_snapshots();
        ours_.emplace(bench.settings, topic);
        if (Connector::worker_present()) {
            make_topic(bench.settings, data_topic(Debezium::kPrefix, "public", workload_.table));
            debezium_ = std::make_unique<Debezium>(bench.settings, workload_.table, "no_data");
            debezium_->wait_streaming();
            theirs_.emplace(bench.settings, debezium_->topic());
        }
        warm_up();
    }

    struct Round {
        double raw = 0; ///< seconds
        double ours = 0;
        double debezium = 0; ///< 0: not there
        double cpu_us = 0;   ///< of the daemon, a record
        bool complete = false;
        double ratio() const { return raw / ours; }
    };
    Round round(bool raw_first)
    {
        const std::string publication(
            node_.query("SELECT pubname FROM pg_catalog.pg_publication WHERE pubname LIKE 'keyshift%'").text(0, 0));
        node_.query("SELECT pg_catalog.pg_create_logical_replication_slot('bench_raw', 'pgoutput')");
        load(kChanges);
        const Lsn end = node_.query("SELECT pg_catalog.pg_current_wal_lsn()").lsn(0, 0);
        node_.query("SELECT pg_catalog.pg_logical_emit_message(true, 'bench', 'end')");
        Round round;
        if (raw_first) {
            round.raw = receive_raw(bench_, "bench_raw", publication, end);
            stream(round);
        } else {
            stream(round);
            round.raw = receive_raw(bench_, "bench_raw", publication, end);
        }
        node_.query("SELECT pg_catalog.pg_drop_replication_slot('bench_raw')");
        if (debezium_) {
            debezium_->resume();
            theirs_->wait(records_of(kChanges), 120);
            debezium_->stop();
            const TopicReader::Arrived arrived = theirs_->take(records_of(kChanges));
            round.debezium = arrived.seconds();
            round.complete = round.complete && arrived.records >= records_of(kChanges);
        }
        return round;
    }

private:
    long long records_of(long long changes) const { return changes / workload_.changes * workload_.records; }
    void load(int changes)
    {
        node_.script(fmt::format(fmt::runtime(workload_.transactions), changes / workload_.changes));
    }

    void warm_up()
    {
        load(kWarmUpChanges);
        ours_->wait(records_of(kWarmUpChanges), 60);
        ours_->take(records_of(kWarmUpChanges));
        bench_.daemon.stop();
        if (debezium_) {
            theirs_->wait(records_of(kWarmUpChanges), 120);
            theirs_->take(records_of(kWarmUpChanges));
            debezium_->stop();
        }
    }

    void stream(Round& round)
    {
        bench_.daemon.start();
        ours_->wait(records_of(kChanges), 60);
        round.cpu_us = (bench_.daemon.cpu_seconds() - startup_cpu_) * 1e6 / static_cast<double>(records_of(kChanges));
        static_cast<void>(bench_.daemon.peak_memory());
        bench_.daemon.stop();
        const TopicReader::Arrived arrived = ours_->take(records_of(kChanges));
        round.ours = arrived.seconds();
        round.complete = arrived.records >= records_of(kChanges);
    }

    const Bench& bench_;
    const Workload workload_;
    pg::Connection node_;
    double startup_cpu_ = 0; ///< until the daemon is ready, with nothing to drain
    std::unique_ptr<Debezium> debezium_;
    std::optional<TopicReader> ours_;
    std::optional<TopicReader> theirs_;
};

struct Goals {
    double of_raw;
    double of_debezium;
};

std::vector<Measured> drain(const Bench& bench, const Workload& workload, const Goals& goals)
{
    Drain drain(bench, workload);
    std::vector<Drain::Round> rounds;
    for (int number = 0; number < kRounds; ++number) {
        rounds.push_back(drain.round(number % 2 == 0));
    }
    const bool complete = std::ranges::all_of(rounds, &Drain::Round::complete);
    std::ranges::sort(rounds, {}, &Drain::Round::debezium);
    const double debezium = (rounds[1].debezium + rounds[2].debezium) / 2;
    std::ranges::sort(rounds, {}, &Drain::Round::ratio);
    const double ratio = (rounds[1].ratio() + rounds[2].ratio()) / 2;
    const double ours = (rounds[1].ours + rounds[2].ours) / 2;
    const double raw = (rounds[1].raw + rounds[2].raw) / 2;
    const double cpu = std::ranges::min(rounds, {}, &Drain::Round::cpu_us).cpu_us;
    const double memory = static_cast<double>(bench.daemon.peak_memory()) / 1e6;
    std::vector<Measured> measured{
        {fmt::format("{} changes to Kafka: {}", demo::grouped(kChanges), workload.what),
         fmt::format("pg_recvlogical {:.0f} k/s", kChanges / raw / 1000),
         fmt::format("{:.0f} k/s", kChanges / ours / 1000),
         fmt::format("{:.2f} ({:.2f} to {:.2f})", ratio, rounds.front().ratio(), rounds.back().ratio()),
         fmt::format(">= {:.1f}", goals.of_raw), complete && ratio >= goals.of_raw}};
    if (debezium > 0) {
        const double times = debezium / ours;
        measured.push_back({"the same, beside Debezium", fmt::format("Debezium {:.0f} k/s", kChanges / debezium / 1000),
                            fmt::format("{:.0f} k/s", kChanges / ours / 1000), fmt::format("{:.1f} times", times),
                            fmt::format(">= {:.0f} times", goals.of_debezium), times >= goals.of_debezium});
    }
    measured.push_back(
        {"processor time of the daemon meanwhile, a record", "", fmt::format("{:.1f} us", cpu), "", "< 4 us", cpu < 4});
    measured.push_back(
        {"memory of the daemon meanwhile, peak", "", fmt::format("{:.0f} MB", memory), "", "< 100 MB", memory < 100});
    return measured;
}

} // namespace

std::vector<Measured> bench_inserts(const Bench& bench)
{
    return drain(bench, inserts(), {1.0, 8});
}

std::vector<Measured> bench_mixed(const Bench& bench)
{
    return drain(bench, mixed(), {0.8, 6});
}

} // namespace keyshift::bench
