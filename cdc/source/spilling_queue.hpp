#pragma once
/// A queue of byte records between two threads that never blocks the writer: what is beyond `memory_limit` goes to a file
/// (INV-OPS-1). Order is kept. Records become visible to the reader only when published, so
/// a transaction that breaks off half way can be taken back.

#include "cdc/source/spool_file.hpp"

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

namespace keyshift::cdc {

class SpillingQueue {
public:
    SpillingQueue(std::size_t memory_limit, std::string directory);
    SpillingQueue(const SpillingQueue&) = delete;
    SpillingQueue& operator=(const SpillingQueue&) = delete;

    /// Throws TransientError when the file cannot be written (disk full).
    void append(std::string_view record);
    /// Makes all that was appended visible.
    void publish();
    /// Takes back all that was appended since the last publish.
    void discard();
    /// No more comes: pop() hands out what is published and then nothing at once.
    void close();

    /// The next published record; nullopt: none came in time, stop, or closed and empty.
    std::optional<std::string> pop(std::chrono::milliseconds wait, std::stop_token stop);

    bool closed() const;
    std::size_t memory_bytes() const;
    std::uint64_t spilled_bytes() const; ///< in the file and not yet read

private:
    bool has_published() const { return published_ > 0; }
    std::string take();
    std::string take_from_file();

    const std::size_t memory_limit_;
    mutable std::mutex mutex_;
    std::condition_variable_any changed_;
    /// Older records in memory, younger ones in the file: as long as the file holds any, new ones go there.
    std::deque<std::string> memory_;
    std::size_t memory_bytes_ = 0;
    SpoolFile file_;
    std::uint64_t read_at_ = 0;
    std::uint64_t write_at_ = 0;
    std::size_t in_file_ = 0;
    std::uint64_t published_end_ = 0; ///< of the file
    std::size_t published_ = 0;       ///< records, memory and file
    std::size_t total_ = 0;
    bool closed_ = false;
};

} // namespace keyshift::cdc
