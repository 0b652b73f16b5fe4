#pragma once
/// The sessions that write what a backfill reads, side by side. A bucket of the projection is always written by the same one,
/// so no two of them ever wait for a row or, with groups, for a bucket's lock.

#include "core/bounded_queue.hpp"
#include "core/bucket_layout.hpp"
#include "projections/batch_writer.hpp"
#include "projections/computed_keys.hpp"
#include "projections/target.hpp"

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace keyshift::projections {

struct BackfillLimits {
    std::size_t batch_rows = 1000;
    int writers = 1;
    std::int64_t max_rejections = 1;
    std::int64_t max_rate = 0; ///< rows a second; 0: any
};

class BackfillWriters {
public:
    /// `owner_epoch`: of the runner that the backfill belongs to. `nodes`: as Target::restrict_to; nullopt: all.
    BackfillWriters(const pg::ConnectionSettings& catalog, const Definition& definition, std::int64_t owner_epoch,
                    const BackfillLimits& limits, const std::optional<std::set<std::string>>& nodes);
    ~BackfillWriters();
    BackfillWriters(const BackfillWriters&) = delete;
    BackfillWriters& operator=(const BackfillWriters&) = delete;

    /// Rows to write, in batches; waits while the writers are behind. Throws what one of them failed with.
    void put(std::vector<RowChange> rows, std::stop_token stop);
    /// Until everything that was put is committed, on disk. Throws as put. False: stop was requested.
    bool finish(std::stop_token stop);

private:
    struct Writer;

    Writer& writer_of(RowChange& row);
    void hand_over(Writer& writer, std::stop_token stop);
    /// Without those that have none: they are rejected.
    void compute_keys(std::vector<RowChange>& rows);
    void reject(pg::Connection& catalog, const RowChange& row, const std::string& why);
    void work(Writer& writer, std::stop_token stop);
    void write_or_reject(Writer& writer, std::span<RowChange> rows, std::stop_token stop);
    void fail(std::exception_ptr failure);
    void throw_failure();

    const pg::ConnectionSettings catalog_settings_;
    const Definition& definition_;
    const BackfillLimits limits_;
    ComputedKeys keys_;    ///< of the reading thread
    BucketLayout buckets_; ///< as of the beginning: halves of a bucket that is split stay together
    std::mutex mutex_;
    std::condition_variable_any changed_;
    std::size_t unwritten_ = 0;  ///< batches, under mutex_
    std::exception_ptr failure_; ///< the first, under mutex_
    std::atomic<std::int64_t> rejected_ = 0;
    std::size_t next_ = 0;                         ///< of the writers, where no bucket says which
    std::vector<std::unique_ptr<Writer>> writers_; ///< last: its threads use the rest
};

} // namespace keyshift::projections
