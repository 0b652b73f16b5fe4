#pragma once
/// Clients of a distributed table that know which node has which bucket, write at a pace, and go where KS001 sends them.

#include "demo/settings.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace keyshift::bench {

struct WriterFigures {
    std::vector<double> milliseconds; ///< of writes to the buckets that stay
    int writes = 0;
    int most_refusals = 0; ///< of one writer in one bucket
};

class MoveWriters {
public:
    static constexpr int kWriters = 3;

    /// `rows`: keys and their buckets; `owner`: bucket -> node. Begins to write, `per_second` in all.
    MoveWriters(const demo::Settings& settings, std::string table, std::vector<std::pair<std::int64_t, int>> rows,
                std::map<int, std::string> owner, double per_second);
    ~MoveWriters();

    /// Figures since the last call; `moving`: buckets whose writes do not count among the others'.
    WriterFigures take(const std::set<int>& moving);

private:
    struct Sample {
        int bucket = 0;
        double milliseconds = 0;
    };
    struct Writer {
        std::mutex mutex;
        std::vector<Sample> samples;      ///< guarded by mutex
        std::map<int, int> refusals;      ///< guarded by mutex; by bucket
        std::map<int, std::string> owner; ///< its own map
        std::jthread thread;
    };
    void run(Writer& writer, int number, const std::stop_token& stop);

    const demo::Settings& settings_;
    const std::string table_;
    const std::vector<std::pair<std::int64_t, int>> rows_;
    const double per_second_;
    std::vector<std::unique_ptr<Writer>> writers_;
};

} // namespace keyshift::bench
