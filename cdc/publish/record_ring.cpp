#include "cdc/publish/record_ring.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <span>

namespace keyshift::cdc {

namespace {

constexpr std::size_t kAlignment = 16;
constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

constexpr std::size_t aligned(std::size_t bytes)
{
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

std::byte* append(std::byte* to, std::string_view text)
{
    // Of a view without bytes the pointer may be null.
    return std::ranges::copy(std::as_bytes(std::span(text)), to).out;
}

std::string_view take(const std::byte*& from, std::size_t size)
{
    const std::string_view text(reinterpret_cast<const char*>(from), size);
    from += size;
    return text;
}

} // namespace

struct HeaderSize {
    std::uint32_t name = 0;
    std::uint32_t value = 0;
};

struct alignas(kAlignment) RecordRing::Entry {
    std::uint32_t bytes = 0; ///< in the ring, this included; 0: the rest of the ring is a gap
    std::uint32_t key = kNone;
    std::uint32_t value = kNone;
    std::int32_t partition = -1;
    std::uint64_t token = 0;
    const char* topic = nullptr;
    std::uint32_t topic_size = 0;
    std::uint32_t headers = 0;
    std::byte* block = nullptr; ///< the record's bytes where they are not in the ring
    std::array<HeaderSize, kMostHeaders> header_sizes;
};

RecordRing::RecordRing(std::size_t bytes)
    : size_(aligned(std::max<std::size_t>(bytes, std::size_t{64} * 1024))), ring_(new std::byte[size_])
{
}

RecordRing::~RecordRing()
{
    while (front() != nullptr) {
        pop();
    }
}

/// The place of the next entry of `bytes`, in one piece; nullptr: no room.
std::byte* RecordRing::reserve(std::size_t bytes)
{
    std::size_t written = written_.load(std::memory_order_relaxed);
    const std::size_t free = size_ - (written - taken_.load(std::memory_order_acquire));
    const std::size_t to_end = size_ - written % size_;
    if (bytes <= to_end) {
        return bytes <= free ? ring_.get() + written % size_ : nullptr;
    }
    if (to_end + bytes > free) {
        return nullptr;
    }
    std::memset(ring_.get() + written % size_, 0, sizeof(Entry::bytes));
    written_.store(written + to_end, std::memory_order_release);
    return ring_.get();
}

void RecordRing::write(std::byte* to, const kafka::Record& record)
{
    for (const kafka::Header& header : record.headers) {
        to = append(append(to, header.name), header.value);
    }
    to = append(to, record.key.value_or(std::string_view()));
    append(to, record.value.value_or(std::string_view()));
}

bool RecordRing::push(const kafka::Record& record)
{
    Entry entry;
    std::size_t content = record.key.value_or("").size() + record.value.value_or("").size();
    for (const kafka::Header& header : record.headers) {
        entry.header_sizes.at(entry.headers++) = {static_cast<std::uint32_t>(header.name.size()),
                                                  static_cast<std::uint32_t>(header.value.size())};
        content += header.name.size() + header.value.size();
    }
    const bool large = content > size_ / 4;
    if (large && block_out_.load(std::memory_order_acquire)) {
        return false;
    }
    entry.bytes = static_cast<std::uint32_t>(aligned(sizeof(Entry) + (large ? 0 : content)));
    std::byte* place = reserve(entry.bytes);
    if (place == nullptr) {
        return false;
    }
    if (record.key) {
        entry.key = static_cast<std::uint32_t>(record.key->size());
    }
    if (record.value) {
        entry.value = static_cast<std::uint32_t>(record.value->size());
    }
    entry.partition = record.partition.value_or(-1);
    entry.token = record.token;
    entry.topic = record.topic.data();
    entry.topic_size = static_cast<std::uint32_t>(record.topic.size());
    if (large) {
        block_out_.store(true, std::memory_order_relaxed);
        entry.block = new std::byte[content];
    }
    std::memcpy(place, &entry, sizeof(Entry));
    write(large ? entry.block : place + sizeof(Entry), record);
    written_.store(written_.load(std::memory_order_relaxed) + entry.bytes, std::memory_order_release);
    return true;
}

void RecordRing::read(const Entry& entry, const std::byte* bytes)
{
    for (std::uint32_t at = 0; at < entry.headers; ++at) {
        headers_[at].name = take(bytes, entry.header_sizes[at].name);
        headers_[at].value = take(bytes, entry.header_sizes[at].value);
    }
    present_.topic = {entry.topic, entry.topic_size};
    present_.partition = entry.partition < 0 ? std::nullopt : std::optional(entry.partition);
    present_.headers = {headers_.data(), entry.headers};
    present_.token = entry.token;
    present_.key = entry.key == kNone ? std::nullopt : std::optional(take(bytes, entry.key));
    present_.value = entry.value == kNone ? std::nullopt : std::optional(take(bytes, entry.value));
}

const kafka::Record* RecordRing::front()
{
    if (has_present_) {
        return &present_;
    }
    std::size_t taken = taken_.load(std::memory_order_relaxed);
    const std::size_t written = written_.load(std::memory_order_acquire);
    while (taken != written) {
        const std::byte* place = ring_.get() + taken % size_;
        std::uint32_t bytes = 0;
        std::memcpy(&bytes, place, sizeof(bytes));
        if (bytes == 0) {
            taken += size_ - taken % size_;
            taken_.store(taken, std::memory_order_release);
            continue;
        }
        Entry entry;
        std::memcpy(&entry, place, sizeof(Entry));
        read(entry, entry.block == nullptr ? place + sizeof(Entry) : entry.block);
        present_end_ = taken + bytes;
        present_block_.reset(entry.block);
        has_present_ = true;
        return &present_;
    }
    return nullptr;
}

void RecordRing::pop()
{
    has_present_ = false;
    if (present_block_) {
        present_block_.reset();
        block_out_.store(false, std::memory_order_release);
    }
    taken_.store(present_end_, std::memory_order_release);
}

bool RecordRing::empty() const
{
    return taken_.load(std::memory_order_acquire) == written_.load(std::memory_order_acquire);
}

bool RecordRing::half_full() const
{
    return written_.load(std::memory_order_relaxed) - taken_.load(std::memory_order_relaxed) > size_ / 2;
}

} // namespace keyshift::cdc
