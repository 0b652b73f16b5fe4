#pragma once
/// A Debezium envelope (docs/debezium.md) in simdjson's DOM: its parts live as long as the parser's document. Pure.

#include <simdjson.h>

#include <cstdint>
#include <optional>
#include <string_view>

namespace keyshift::projections {

/// What of an envelope counts here. A name that stands twice has no meaning: readers differ in which one they take.
struct Envelope {
    std::string_view operation;
    std::optional<simdjson::dom::element> sides[2]; ///< before, after; nullopt: absent or null
    bool twice = false;
};

/// The envelope, also inside {"schema":...,"payload":...}.
simdjson::dom::element payload_of(simdjson::dom::element document);
Envelope open_envelope(simdjson::dom::element event);
/// The lower 32 bits of the transaction's number; nullopt: a snapshot's row.
std::optional<std::uint32_t> transaction_of(simdjson::dom::element event);

} // namespace keyshift::projections
