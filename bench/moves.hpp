#pragma once
/// What the benchmarks of moves share.

#include "bench/measured.hpp"
#include "core/names.hpp"
#include "core/pg/connection.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace keyshift::bench {

/// Adds a node that is not there yet, and lets the daemon run with what existing rows there are in Kafka.
void ready_for_moves(const Bench& bench, const std::string& node);

/// The raw pipe: a binary COPY of leaves of `from` through this process into one table of `to` with the columns of
/// `like`, then the index builds. Seconds.
double copy_raw(const Bench& bench, const std::string& from, const std::string& to, const std::string& columns,
                const std::vector<std::string>& leaves, const std::string& indexes);

struct Job {
    double seconds = 0; ///< from its first move's beginning to its last switch
    std::int64_t rows = 0;
    std::int64_t bytes = 0; ///< as the copies counted them
};
/// `keyshift reshard start` with these arguments, until every move has switched. Throws FatalError when one has not.
Job reshard(const Bench& bench, const std::vector<std::string>& arguments);
/// The same for a job that has been started.
Job wait_job(const Bench& bench);

/// "0,1,2" for [first, last).
std::string bucket_list(int first, int last);

} // namespace keyshift::bench
