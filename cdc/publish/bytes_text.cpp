#include "cdc/publish/bytes_text.hpp"

#include "cdc/publish/json_text.hpp"
#include "cdc/publish/number_text.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstdint>
#include <cstring>

namespace keyshift::cdc {

namespace {

unsigned nibble(char letter)
{
    return static_cast<unsigned>(letter <= '9' ? letter - '0' : (letter | 0x20) - 'a' + 10);
}

void append_double(std::string& out, std::string_view text)
{
    double value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    auto bits = std::bit_cast<std::uint64_t>(value);
    for (int byte = 0; byte < 8; ++byte, bits >>= 8U) {
        out += static_cast<char>(bits & 0xFFU);
    }
}

} // namespace

void append_base64_of_hex(std::string& out, std::string_view text)
{
    // A multiple of three: base64 pads only at the end.
    std::array<char, 3 * 256> chunk{};
    text.remove_prefix(text.starts_with("\\x") ? 2 : text.size());
    out += '"';
    while (text.size() >= 2) {
        std::size_t size = 0;
        for (; size < chunk.size() && text.size() >= 2; ++size, text.remove_prefix(2)) {
            chunk[size] = static_cast<char>(nibble(text[0]) << 4U | nibble(text[1]));
        }
        append_base64(out, {chunk.data(), size});
    }
    out += '"';
}

std::string bytes_of_bits(std::string_view bits)
{
    std::string bytes((bits.size() + 7) / 8, '\0');
    for (std::size_t place = 0; place < bits.size(); ++place) {
        if (bits[bits.size() - 1 - place] == '1') {
            bytes[place / 8] = static_cast<char>(static_cast<unsigned char>(bytes[place / 8]) | 1U << place % 8);
        }
    }
    bytes.erase(bytes.find_last_not_of('\0') + 1);
    return bytes;
}

std::string hex_of_bytes(std::string_view bytes)
{
    static constexpr std::string_view kDigits = "0123456789abcdef";
    std::string hex;
    hex.reserve(bytes.size() * 2);
    for (const char byte : bytes) {
        hex += kDigits[static_cast<unsigned char>(byte) >> 4U];
        hex += kDigits[static_cast<unsigned char>(byte) & 0xFU];
    }
    return hex;
}

std::optional<Point> read_point(std::string_view text)
{
    const std::size_t comma = text.find(',');
    if (!text.starts_with('(') || !text.ends_with(')') || comma == std::string_view::npos) {
        return std::nullopt;
    }
    return Point{text.substr(1, comma - 1), text.substr(comma + 1, text.size() - comma - 2)};
}

std::string well_known_binary(const Point& point)
{
    // Byte order mark 1, then type 1 (Point) as 32 bits.
    std::string bytes("\x01\x01\0\0\0", 5);
    append_double(bytes, point.x);
    append_double(bytes, point.y);
    return bytes;
}

std::string java_coordinates(std::string_view text)
{
    static constexpr std::string_view kBetween = "()[]{}<>,";
    std::string out;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find_first_of(kBetween), text.size());
        if (end == 0) {
            out += text.front();
            text.remove_prefix(1);
            continue;
        }
        std::string number;
        append_java_float(number, text.substr(0, end), FloatWidth::double_width);
        std::erase(number, '"'); // of NaN and the infinities
        out += number;
        text.remove_prefix(end);
    }
    return out;
}

} // namespace keyshift::cdc
