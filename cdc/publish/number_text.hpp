#pragma once
/// Numbers as Debezium's JSON has them: floats as Java's toString prints them, numeric as Kafka Connect's Decimal.

#include <optional>
#include <string>
#include <string_view>

namespace keyshift::cdc {

enum class FloatWidth { single_width, double_width };

/// PostgreSQL's shortest float text ("1e+07", "0.001", "-0") as Java prints it ("1.0E7", "0.001", "-0.0"); NaN and the
/// infinities become quoted strings.
void append_java_float(std::string& out, std::string_view text, FloatWidth width);
/// A numeric's text as the nearest double, as Java prints it.
void append_java_double_of_decimal(std::string& out, std::string_view text);

/// A decimal number taken apart.
struct Decimal {
    bool negative = false;
    std::string digits; ///< of the unscaled value, without leading zeros; "0" for zero
    int scale = 0;      ///< digits after the point
};
/// Reads "-123.4500" (no exponent: PostgreSQL prints none). nullopt for NaN and the infinities.
std::optional<Decimal> read_decimal(std::string_view text);
/// A number of JSON that is whole and has at most 19 digits.
bool is_integer(std::string_view text);
/// Digits of money after the point, and money's text "-$1,234.56" as "-1234.56".
inline constexpr int kCents = 2;
std::string amount_of(std::string_view money);
/// The same value with exactly `scale` digits after the point (digits beyond are cut: there are none in a numeric(p,s)).
Decimal rescaled(Decimal value, int scale);
/// Without trailing zeros after the point.
Decimal stripped(Decimal value);
/// As Java's BigDecimal prints it: "-1.50", "1E-7".
std::string java_text(const Decimal& value);
/// Big-endian two's complement of the unscaled value, as short as it goes.
std::string twos_complement(const Decimal& value);

} // namespace keyshift::cdc
