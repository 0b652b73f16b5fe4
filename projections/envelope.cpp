#include "projections/envelope.hpp"

namespace keyshift::projections {

namespace dom = simdjson::dom;

dom::element payload_of(dom::element document)
{
    dom::element payload;
    return document["payload"].get(payload) == simdjson::SUCCESS ? payload : document;
}

Envelope open_envelope(dom::element event)
{
    Envelope envelope;
    dom::object fields;
    if (event.get(fields) != simdjson::SUCCESS) {
        return envelope;
    }
    bool seen[3] = {};
    for (const dom::key_value_pair field : fields) {
        const int which = field.key == "before" ? 0 : field.key == "after" ? 1 : field.key == "op" ? 2 : -1;
        if (which < 0) {
            continue;
        }
        envelope.twice = envelope.twice || seen[which];
        seen[which] = true;
        if (which == 2) {
            if (field.value.get(envelope.operation) != simdjson::SUCCESS) {
                envelope.operation = {};
            }
        } else if (!field.value.is_null()) {
            envelope.sides[which] = field.value;
        }
    }
    return envelope;
}

std::optional<std::uint32_t> transaction_of(dom::element event)
{
    std::uint64_t number = 0;
    if (event["source"]["txId"].get(number) != simdjson::SUCCESS) {
        return std::nullopt; // of a snapshot's row
    }
    return static_cast<std::uint32_t>(number);
}

} // namespace keyshift::projections
