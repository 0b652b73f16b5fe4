#pragma once
/// PostgreSQL's texts of binary values as the bytes that Debezium writes.

#include <optional>
#include <string>
#include <string_view>

namespace keyshift::cdc {

/// Appends bytea's hex text ("\x0102") as base64 in quotes.
void append_base64_of_hex(std::string& out, std::string_view text);
/// A bit string's bytes, least significant first, without trailing zero bytes.
std::string bytes_of_bits(std::string_view bits);
/// Bytes as lower-case hexadecimal digits.
std::string hex_of_bytes(std::string_view bytes);
/// The coordinates of "(x,y)"; nullopt: not a point.
struct Point {
    std::string_view x;
    std::string_view y;
};
std::optional<Point> read_point(std::string_view text);
/// Its well-known binary form, little-endian.
std::string well_known_binary(const Point& point);
/// A geometric value's text with its numbers as Java prints them: "((1.0,1.0E10),(0.0,-0.5))".
std::string java_coordinates(std::string_view text);

} // namespace keyshift::cdc
