#include "bench/move_writers.hpp"
#include "bench/moves.hpp"

#include "core/backoff.hpp"
#include "core/json.hpp"
#include "demo/screen.hpp"

#include <fmt/core.h>

namespace keyshift::bench {

namespace {

using namespace std::chrono_literals;
constexpr int kRows = 2'600'000; // 450 MB with the primary key
constexpr int kBuckets = 64;
constexpr int kFromEach = 11; // the third node's share, from each of the two
constexpr double kWritesPerSecond = 300;
constexpr auto kQuietFor = 10s;

/// Keys of all buckets, as many of each.
std::vector<std::pair<std::int64_t, int>> some_keys(pg::Connection& node)
{
    std::vector<std::pair<std::int64_t, int>> keys;
    const auto rows =
        node.query("SELECT k, keyshift.bucket_of('public.grown', k::text) FROM generate_series(1, 6400) k");
    for (int row = 0; row < rows.rows(); ++row) {
        keys.emplace_back(rows.integer(row, 0), static_cast<int>(rows.integer(row, 1)));
    }
    return keys;
}

std::map<int, std::string> owners(pg::Connection& node)
{
    std::map<int, std::string> map;
    const auto rows = node.query("SELECT bucket, node FROM keyshift.bucket WHERE group_name = 'grown'");
    for (int row = 0; row < rows.rows(); ++row) {
        map[static_cast<int>(rows.integer(row, 0))] = rows.text(row, 1);
    }
    return map;
}

std::vector<std::string> leaves(int first, int last)
{
    std::vector<std::string> names;
    for (int bucket = first; bucket < last; ++bucket) {
        names.push_back(fmt::format("public.grown_b{}", bucket));
    }
    return names;
}

std::string joined(const std::vector<int>& buckets)
{
    std::string list;
    for (const int bucket : buckets) {
        list += fmt::format("{}{}", list.empty() ? "" : ",", bucket);
    }
    return list;
}

} // namespace

std::vector<Measured> bench_move_empty(const Bench& bench)
{
    pg::Connection node(bench.settings.connection("n1", "bench"));
    node.script("CREATE TABLE public.empties (id bigint PRIMARY KEY, content text)");
    bench.program.run({"table", "distribute", "empties", "--key", "id", "--buckets", "16", "--offline"});
    ready_for_moves(bench, "n2");
    const Job job = reshard(bench, {"--group", "empties", "--buckets", bucket_list(0, 16), "--to", "n2"});
    return {{"moving 16 empty bucket groups", "", fmt::format("{:.2f} s", job.seconds), "", "< 2 s", job.seconds < 2}};
}

std::vector<Measured> bench_move_third(const Bench& bench)
{
    pg::Connection node(bench.settings.connection("n1", "bench"));
    node.script(
        fmt::format("CREATE TABLE public.grown (id bigint PRIMARY KEY, owner int NOT NULL, content text);"
                    "INSERT INTO public.grown SELECT i, i % 1000, repeat('x', 100) FROM generate_series(1, {}) i",
                    kRows));
    bench.program.run(
        {"table", "distribute", "grown", "--key", "id", "--buckets", std::to_string(kBuckets), "--offline"});
    ready_for_moves(bench, "n2");
    reshard(bench, {"--group", "grown", "--buckets", bucket_list(kBuckets / 2, kBuckets), "--to", "n2"});
    ready_for_moves(bench, "n3");
    // What one node's share takes through the pipe; the daemon's way takes it from two.
    const double raw = copy_raw(bench, "n1", "n3", "id bigint, owner int NOT NULL, content text", leaves(0, kFromEach),
                                "ALTER TABLE public.raw ADD PRIMARY KEY (id)");
    std::set<int> moving;
    for (int bucket = 0; bucket < kFromEach; ++bucket) {
        moving.insert({bucket, kBuckets / 2 + bucket});
    }
    MoveWriters writers(bench.settings, "public.grown", some_keys(node), owners(node), kWritesPerSecond);
    sleep_for(2s, {});
    writers.take(moving);
    sleep_for(kQuietFor, {});
    const WriterFigures before = writers.take(moving);
    bench.program.run(
        {"reshard", "start", "--group", "grown", "--buckets", joined({moving.begin(), moving.end()}), "--to", "n3"});
    const Job job = wait_job(bench);
    sleep_for(1s, {});
    const WriterFigures during = writers.take(moving);
    const double ratio = 2 * raw / job.seconds;
    const double quiet = quantile(before.milliseconds, 0.99);
    const double busy = quantile(during.milliseconds, 0.99);
    bench.program.run({"reshard", "rollback", bench.program.json({"reshard", "status"})["job"].dump()});
    const Job back = wait_job(bench);
    return {{fmt::format("a third node takes {} of {} buckets of 450 MB, {} rows, {} writes/s going on", moving.size(),
                         kBuckets, demo::grouped(job.rows), kWritesPerSecond),
             fmt::format("binary COPY pipe + index build {:.2f} s", 2 * raw), fmt::format("{:.2f} s", job.seconds),
             fmt::format("{:.2f}", ratio), "< 9 s, >= 0.5", job.seconds < 9 && ratio >= 0.5},
            {"writes to the other buckets meanwhile", fmt::format("without a move p99 {:.1f} ms", quiet),
             fmt::format("p99 {:.1f} ms", busy), fmt::format("{:.1f} times", busy / quiet), "<= 2 times",
             busy <= 2 * quiet},
            {fmt::format("refusals that one of {} writers met in one bucket, at most", MoveWriters::kWriters), "",
             std::to_string(during.most_refusals), "", "<= 1", during.most_refusals <= 1},
            {"the same buckets taken back, writes going on",
             fmt::format("{} rows copied again", demo::grouped(back.rows)), fmt::format("{:.2f} s", back.seconds), "",
             "no row", back.rows == 0}};
}

} // namespace keyshift::bench
