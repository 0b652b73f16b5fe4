#pragma once
/// Appending JSON to a reused buffer: strings as Jackson writes them (raw UTF-8, but control characters and what is beyond
/// U+FFFF escaped, the latter as a surrogate pair), and the base64 of bytes.

#include <cstdint>
#include <string>
#include <string_view>

namespace keyshift::cdc {

/// Appends `text` with quotes and escapes.
void append_string(std::string& out, std::string_view text);
/// The same for JSON that is itself a text: beyond U+FFFF raw.
void append_inner_string(std::string& out, std::string_view text);
void append_number(std::string& out, std::int64_t value);
/// Appends standard padded base64 without quotes.
void append_base64(std::string& out, std::string_view bytes);
/// The same with quotes.
void append_base64_string(std::string& out, std::string_view bytes);

} // namespace keyshift::cdc
