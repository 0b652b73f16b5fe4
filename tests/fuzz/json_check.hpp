#pragma once
/// What is written must be JSON for a parser that validates all of it.

#include "tests/fuzz/input.hpp"

#include <simdjson.h>

namespace keyshift::fuzz {

/// Parses with simdjson's DOM; the element lives until the next call.
inline simdjson::dom::element must_be_json(std::string_view what, std::string_view json)
{
    static simdjson::dom::parser parser;
    simdjson::dom::element document;
    // simdjson's DOM wants an object or array at the top, or a document of its own; a scalar alone is read too.
    const auto error = parser.parse(json.data(), json.size()).get(document);
    promise(error == simdjson::SUCCESS, what, json);
    return document;
}

/// PostgreSQL's texts are valid UTF-8 without zero bytes: whatever else is in `bytes` becomes '?'.
inline std::string as_postgres_text(std::string_view bytes)
{
    std::string text(bytes);
    for (char& letter : text) {
        letter = letter == '\0' ? '?' : letter;
    }
    if (!simdjson::validate_utf8(text.data(), text.size())) {
        for (char& letter : text) {
            letter = (static_cast<unsigned char>(letter) & 0x80U) != 0 ? '?' : letter;
        }
    }
    return text;
}

} // namespace keyshift::fuzz
