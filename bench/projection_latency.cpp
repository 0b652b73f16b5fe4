#include "bench/projections.hpp"

#include "core/backoff.hpp"

#include <fmt/core.h>

#include <array>
#include <map>
#include <mutex>
#include <thread>

namespace keyshift::bench {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
constexpr int kRowsPerTransaction = 10;
constexpr int kTransactionsPerSecond = 200;
constexpr int kSeconds = 10;
constexpr int kTransactions = kTransactionsPerSecond * kSeconds;

/// One row of each transaction that is committed and not seen yet.
class Outstanding {
public:
    void add(int row)
    {
        const std::scoped_lock lock(mutex_);
        committed_[row] = Clock::now();
    }
    std::string rows() const
    {
        const std::scoped_lock lock(mutex_);
        std::string list = "{";
        for (const auto& [row, when] : committed_) {
            list += fmt::format("{}{}", list.size() > 1 ? "," : "", row);
        }
        return list + "}";
    }
    /// Milliseconds since its commit.
    double seen(int row)
    {
        const std::scoped_lock lock(mutex_);
        const double took = seconds_since(committed_.at(row)) * 1000;
        committed_.erase(row);
        return took;
    }

private:
    mutable std::mutex mutex_;
    std::map<int, Clock::time_point> committed_; ///< guarded by mutex_
};

/// Rows `first` and up, at the pace.
void write_rows(const Bench& bench, int first, Outstanding& outstanding)
{
    pg::Connection node(bench.settings.connection("n1", "bench"));
    const auto begin = Clock::now();
    for (int transaction = 0; transaction < kTransactions; ++transaction) {
        std::this_thread::sleep_until(begin +
                                      transaction * std::chrono::microseconds(1'000'000 / kTransactionsPerSecond));
        const int row = first + transaction * kRowsPerTransaction;
        node.run_prepared("insert",
                          "INSERT INTO public.watched SELECT i, i, 'content' FROM generate_series($1::int, $2::int) i",
                          std::array{pg::Parameter(std::to_string(row)),
                                     pg::Parameter(std::to_string(row + kRowsPerTransaction - 1))});
        outstanding.add(row);
    }
}

/// Milliseconds from the commit on the base table until a reader of the projection has the row.
std::vector<double> measure(const Bench& bench, int first)
{
    Outstanding outstanding;
    std::jthread writer([&](std::stop_token) { write_rows(bench, first, outstanding); });
    pg::Connection reader(bench.settings.connection("n1", "bench"));
    std::vector<double> milliseconds;
    const auto begin = Clock::now();
    while (milliseconds.size() < kTransactions && seconds_since(begin) < 4 * kSeconds) {
        const std::string rows = outstanding.rows();
        const pg::Result seen =
            reader.run_prepared("look", "SELECT owner FROM public.watched_by_owner WHERE owner = ANY($1::int[])",
                                std::array{pg::Parameter(rows)});
        for (int row = 0; row < seen.rows(); ++row) {
            milliseconds.push_back(outstanding.seen(static_cast<int>(seen.integer(row, 0))));
        }
        sleep_for(1ms, {});
    }
    writer.join();
    if (milliseconds.size() < kTransactions) {
        throw FatalError({"waiting for projected rows",
                          fmt::format("{} of {} came", milliseconds.size(), kTransactions), "Read daemon.log."});
    }
    return milliseconds;
}

} // namespace

std::vector<Measured> bench_projection_latency(const Bench& bench)
{
    pg::Connection node(bench.settings.connection("n1", "bench"));
    node.script("CREATE TABLE public.watched (id int, owner int, content text, PRIMARY KEY (id, owner))");
    bench.program.run({"table", "capture", "watched"});
    bench.daemon.start();
    bench.wait_snapshots();
    bench.program.run({"projection", "create", "watched_by_owner", "--key", "owner", "--wait", "--sql",
                       "SELECT owner, id, content FROM watched"});
    measure(bench, 1'000'000); // broker and plans warm
    const std::vector<double> milliseconds = measure(bench, 2'000'000);
    bench.daemon.stop();
    const double p50 = quantile(milliseconds, 0.5);
    const double p99 = quantile(milliseconds, 0.99);
    return {{fmt::format("commit to visible in the projection at {} rows/s, {} each commit",
                         kTransactionsPerSecond * kRowsPerTransaction, kRowsPerTransaction),
             "", fmt::format("p50 {:.1f} ms, p99 {:.1f} ms", p50, p99), "", "p50 < 15 ms, p99 < 50 ms",
             p50 < 15 && p99 < 50}};
}

} // namespace keyshift::bench
