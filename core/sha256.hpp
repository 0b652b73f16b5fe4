#pragma once
/// SHA-256 (FIPS 180-4), as lower case hexadecimal digits.

#include <string>
#include <string_view>

namespace keyshift {

/// Of `salt` followed by `text`.
std::string sha256_hex(std::string_view salt, std::string_view text);

} // namespace keyshift
