#pragma once
/// Application traffic: inserts, updates and deletes on the three tables at a steady rate from several connections,
/// with keyshift.must_own in each UPDATE and DELETE, following KS001 to the node it names. Logs what was acknowledged.

#include "demo/acknowledged.hpp"
#include "demo/settings.hpp"

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace keyshift::demo {

class Writers {
public:
    /// Reads the keys that exist on n1 and starts writing.
    explicit Writers(const Settings& settings);
    ~Writers();
    /// Writes acknowledged so far.
    long long writes() const { return writes_; }
    /// Stops all and gives their logs.
    std::vector<WriterLog> stop();

private:
    void run(int number, DatabaseState owned, WriterLog& log, std::stop_token stop);

    const Settings& settings_;
    std::atomic<long long> writes_ = 0;
    std::vector<WriterLog> logs_;
    std::vector<std::jthread> threads_;
};

} // namespace keyshift::demo
