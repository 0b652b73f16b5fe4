#pragma once
/// What the benchmarks of projections share.

#include "bench/measured.hpp"
#include "core/pg/connection.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace keyshift::bench {

/// Until all that n1 has committed is in Kafka.
void wait_captured(const Bench& bench);
/// Until the catalog says so of the projection.
void wait_projection(const Bench& bench, const std::string& name, const std::string& state);
/// Pauses it, runs `sql` on n1, and waits until Kafka has the changes: they are to be applied at one go.
void pile_up(const Bench& bench, const std::string& name, const std::string& sql);

/// Times how a projection on n1 alone applies what lies in the topic of its table, by the progress that it stores.
class Drain {
public:
    /// From now on; nothing is being applied yet.
    Drain(const Bench& bench, std::string projection, const std::string& table);

    struct Figures {
        double per_second = 0;
        double cpu_microseconds = 0; ///< of the daemon, an event
    };
    /// Waits for the end of the topic. `events`: how many lie there.
    Figures finish(double events);

private:
    double progress();

    const Bench& bench_;
    pg::Connection node_;
    std::string projection_;
    double begin_ = 0; ///< sums of offsets
    double end_ = 0;
};

/// The limit: the guarded upsert of rows (user_id uuid, id uuid, post_id uuid, content text), a thousand at a time over one
/// connection with nothing around it, into a plain table of one node.
class RawUpsert {
public:
    /// Of the rows of public.`table` on n1.
    RawUpsert(const Bench& bench, const std::string& table);
    ~RawUpsert();
    RawUpsert(const RawUpsert&) = delete;
    RawUpsert& operator=(const RawUpsert&) = delete;

    /// Rows a second. Each call writes all rows as newer versions than the call before.
    double write();

private:
    struct Batch {
        std::size_t rows = 0;
        std::vector<std::string> columns; ///< binary arrays
    };

    pg::Connection node_;
    std::vector<Batch> batches_;
    std::uint64_t version_ = 0;
};

} // namespace keyshift::bench
