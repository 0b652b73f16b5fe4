#pragma once
/// PostgreSQL's position in the WAL, a byte count. Kafka's positions are offsets, never Lsn.

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace keyshift {

struct Lsn {
    std::uint64_t value = 0;

    auto operator<=>(const Lsn&) const = default;
    /// As PostgreSQL prints it: "16/B374D848".
    std::string to_string() const;
    /// Reads "16/B374D848"; nullopt for anything else.
    static std::optional<Lsn> parse(std::string_view text);
};

} // namespace keyshift
