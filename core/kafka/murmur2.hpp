#pragma once
/// The hash of Kafka's Java client (MurmurHash2 with its seed), as its default partitioner uses it.

#include <cstdint>
#include <cstring>
#include <string_view>

namespace keyshift::kafka {

inline std::uint32_t murmur2(std::string_view bytes)
{
    constexpr std::uint32_t kMultiplier = 0x5bd1e995;
    std::uint32_t hash = 0x9747b28cU ^ static_cast<std::uint32_t>(bytes.size());
    while (bytes.size() >= 4) {
        std::uint32_t word = 0;
        std::memcpy(&word, bytes.data(), 4);
        word *= kMultiplier;
        word ^= word >> 24U;
        hash = (hash * kMultiplier) ^ (word * kMultiplier);
        bytes.remove_prefix(4);
    }
    if (!bytes.empty()) {
        std::uint32_t tail = 0;
        std::memcpy(&tail, bytes.data(), bytes.size());
        hash = (hash ^ tail) * kMultiplier;
    }
    hash = (hash ^ (hash >> 13U)) * kMultiplier;
    return hash ^ (hash >> 15U);
}

} // namespace keyshift::kafka
