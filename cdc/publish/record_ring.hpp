#pragma once
/// Encoded records on their way from the stream's thread to the one that produces them: a ring of bytes, so that no record
/// costs an allocation and the whole is bounded (INV-OPS-1). One thread pushes, one takes; neither ever waits here.
///
/// A record that is large beside the ring goes through a block of its own, one at a time beyond the ring's bound.

#include "core/kafka/client.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

namespace keyshift::cdc {

class RecordRing {
public:
    static constexpr std::size_t kMostHeaders = 8;

    explicit RecordRing(std::size_t bytes);
    ~RecordRing();
    RecordRing(const RecordRing&) = delete;
    RecordRing& operator=(const RecordRing&) = delete;

    /// Copies the record; its topic must live as long as the ring. False: no room now.
    bool push(const kafka::Record& record);
    /// The oldest record; its texts live until pop(). nullptr: there is none.
    const kafka::Record* front();
    void pop();

    /// Any thread.
    bool empty() const;
    bool half_full() const;

private:
    struct Entry; ///< what stands before a record's bytes

    std::byte* reserve(std::size_t bytes);
    static void write(std::byte* to, const kafka::Record& record);
    /// Makes present_ of the entry's bytes.
    void read(const Entry& entry, const std::byte* bytes);

    const std::size_t size_;
    const std::unique_ptr<std::byte[]> ring_;
    alignas(64) std::atomic<std::size_t> written_ =
        0; ///< bytes ever, gaps at the ring's end included; the pushing thread
    alignas(64) std::atomic<std::size_t> taken_ = 0; ///< bytes ever; the taking thread
    std::atomic<bool> block_out_ = false;            ///< a large record is under way
    std::size_t present_end_ = 0;                    ///< what taken_ becomes when present_ is popped
    bool has_present_ = false;
    std::unique_ptr<std::byte[]> present_block_; ///< of a large record
    kafka::Record present_;
    std::array<kafka::Header, kMostHeaders> headers_;
};

} // namespace keyshift::cdc
