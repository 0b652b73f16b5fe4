#pragma once
/// Identities of Keyshift's own things. A node and a group are named by plain strings (configuration bounds them);
/// numbers that must not be mixed up are strong enums.

#include <cstdint>
#include <type_traits>

namespace keyshift {

/// One hash slice of a group of co-located tables: its number is the remainder of its keys' hashes (core/bucket_layout.hpp).
enum class BucketId : std::uint32_t {};
/// Version of one bucket's placement and history; starts at 1, rises by one at every switch.
enum class Epoch : std::uint64_t {};
enum class MoveId : std::int64_t {};
enum class JobId : std::int64_t {};

template <typename Id>
constexpr auto number(Id id) noexcept
{
    return static_cast<std::underlying_type_t<Id>>(id);
}

} // namespace keyshift
