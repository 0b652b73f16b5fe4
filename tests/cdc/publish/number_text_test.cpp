#include "cdc/publish/number_text.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <regex>

namespace keyshift::cdc {
namespace {

std::string java_double(std::string_view text)
{
    std::string out;
    append_java_float(out, text, FloatWidth::double_width);
    return out;
}

std::string java_float(std::string_view text)
{
    std::string out;
    append_java_float(out, text, FloatWidth::single_width);
    return out;
}

std::string nearest_double(std::string_view text)
{
    std::string out;
    append_java_double_of_decimal(out, text);
    return out;
}

TEST(NumberText, FloatsReadAsJavaPrintsThem)
{
    const std::pair<const char*, const char*> cases[] = {{"100", "100.0"},
                                                         {"1e+07", "1.0E7"},
                                                         {"10000000", "1.0E7"},
                                                         {"9999999", "9999999.0"},
                                                         {"0.001", "0.001"},
                                                         {"0.00099", "9.9E-4"},
                                                         {"-0", "-0.0"},
                                                         {"0", "0.0"},
                                                         {"4.44", "4.44"},
                                                         {"1e+21", "1.0E21"},
                                                         {"123456789.12345679", "1.2345678912345679E8"},
                                                         {"-1.5e-07", "-1.5E-7"},
                                                         {"1.7976931348623157e+308", "1.7976931348623157E308"},
                                                         {"2.2250738585072014e-308", "2.2250738585072014E-308"},
                                                         {"NaN", "\"NaN\""},
                                                         {"Infinity", "\"Infinity\""},
                                                         {"-Infinity", "\"-Infinity\""},
                                                         {"1234.5", "1234.5"},
                                                         // Two digits where a double is that coarse.
                                                         {"5e-324", "4.9E-324"},
                                                         {"1e-323", "9.9E-324"},
                                                         {"2e-323", "2.0E-323"}};
    for (const auto& [text, java] : cases) {
        EXPECT_EQ(java_double(text), java);
    }
    EXPECT_EQ(java_float("1.6777216e+07"), "1.6777216E7");
    EXPECT_EQ(java_float("3.3"), "3.3");
    EXPECT_EQ(java_float("1e-45"), "1.4E-45");
    EXPECT_EQ(java_float("3.4028235e+38"), "3.4028235E38");
}

TEST(NumberText, ANumericAsADoubleIsTheNearestOne)
{
    EXPECT_EQ(nearest_double("1.1"), "1.1");
    EXPECT_EQ(nearest_double("0.10000000000000000000000000000001"), "0.1");
    EXPECT_EQ(nearest_double("-1.50"), "-1.5");
    EXPECT_EQ(nearest_double("99999999999999999999999999999999999999"), "1.0E38");
    EXPECT_EQ(nearest_double("18446744073709551616"), "1.8446744073709552E19")
        << "the shortest digits, whatever the size";
    EXPECT_EQ(nearest_double("NaN"), "\"NaN\"");
    EXPECT_EQ(nearest_double("-Infinity"), "\"-Infinity\"");
    EXPECT_EQ(nearest_double("1" + std::string(400, '0')), "\"Infinity\"");
    EXPECT_EQ(nearest_double("-0." + std::string(400, '0') + "1"), "-0.0");
}

RC_GTEST_PROP(NumberTextProperty, AnyDoubleComesBackBitByBit, (std::uint64_t bits))
{
    const double value = std::bit_cast<double>(bits);
    RC_PRE(std::isfinite(value));
    char buffer[40];
    const std::string_view text(
        buffer, static_cast<std::size_t>(std::to_chars(buffer, buffer + sizeof buffer, value).ptr - buffer));
    const std::string java = java_double(text);
    static const std::regex kJava(R"(-?\d+\.\d+(E-?\d+)?)");
    RC_ASSERT(std::regex_match(java, kJava));
    double back = 0;
    std::from_chars(java.data(), java.data() + java.size(), back);
    RC_ASSERT(std::bit_cast<std::uint64_t>(back) == bits);
}

RC_GTEST_PROP(NumberTextProperty, AnyFloatComesBackBitByBitFromItsShortestDigits, (std::uint32_t bits))
{
    const float value = std::bit_cast<float>(bits);
    RC_PRE(std::isfinite(value));
    char buffer[40];
    const std::string_view text(
        buffer, static_cast<std::size_t>(std::to_chars(buffer, buffer + sizeof buffer, value).ptr - buffer));
    const std::string java = java_float(text);
    float back = 0;
    std::from_chars(java.data(), java.data() + java.size(), back);
    RC_ASSERT(std::bit_cast<std::uint32_t>(back) == bits);
    const auto digits = [](std::string_view number) {
        std::string kept;
        for (const char letter : number.substr(0, number.find_first_of("eE"))) {
            kept += letter >= '0' && letter <= '9' ? std::string(1, letter) : "";
        }
        kept.erase(0, kept.find_first_not_of('0'));
        kept.erase(kept.find_last_not_of('0') + 1);
        return kept;
    };
    // Java prints two digits at least, and the second is not always a zero.
    RC_ASSERT(digits(java) == digits(text) || (digits(text).size() == 1 && digits(java).size() == 2));
}

/// numeric's text as PostgreSQL prints it.
rc::Gen<std::string> numerics()
{
    const auto digits = rc::gen::container<std::string>(rc::gen::inRange('0', static_cast<char>('9' + 1)));
    return rc::gen::map(rc::gen::tuple(rc::gen::arbitrary<bool>(), digits, digits), [](const auto& parts) {
        auto [negative, whole, fraction] = parts;
        whole.erase(0, std::min(whole.find_first_not_of('0'), whole.size()));
        const bool zero = whole.empty() && fraction.find_first_not_of('0') == std::string::npos;
        return std::string(negative && !zero ? "-" : "") + (whole.empty() ? "0" : whole) +
               (fraction.empty() ? "" : "." + fraction);
    });
}

/// Without exponent: "-1.5E-7" as "-0.00000015".
std::string plain(std::string java)
{
    const std::size_t at = java.find('E');
    if (at == std::string::npos) {
        return java;
    }
    int exponent = std::stoi(java.substr(at + 1));
    std::string digits = java.substr(0, at);
    const std::string sign = digits.starts_with('-') ? "-" : "";
    digits.erase(0, sign.size());
    const std::size_t point = digits.find('.');
    const int fraction = point == std::string::npos ? 0 : static_cast<int>(digits.size() - point - 1);
    std::erase(digits, '.');
    for (exponent -= fraction; exponent > 0; --exponent) {
        digits += '0';
    }
    if (exponent < 0) {
        const auto scale = static_cast<std::size_t>(-exponent);
        digits.insert(0, digits.size() <= scale ? scale - digits.size() + 1 : 0, '0');
        digits.insert(digits.size() - scale, ".");
    }
    return sign + digits;
}

RC_GTEST_PROP(NumberTextProperty, AnyNumericComesBackFromItsJavaTextDigitByDigit, ())
{
    const std::string text = *numerics();
    RC_ASSERT(plain(java_text(*read_decimal(text))) == text);
}

RC_GTEST_PROP(NumberTextProperty, ANumericInAScaleThatHoldsItAndWithoutItsZerosIsTheSame, ())
{
    const std::string text = *numerics();
    const int more = *rc::gen::inRange(0, 40);
    const Decimal value = *read_decimal(text);
    const Decimal wide = rescaled(value, value.scale + more);
    RC_ASSERT(wide.scale == value.scale + more);
    RC_ASSERT(java_text(rescaled(wide, value.scale)) == java_text(value));
    const Decimal short_one = stripped(value);
    RC_ASSERT(short_one.scale == 0 || !short_one.digits.ends_with('0'));
    RC_ASSERT(java_text(rescaled(short_one, value.scale)) == java_text(value));
    RC_ASSERT(java_text(*read_decimal(amount_of(text))) == java_text(value));
}

std::int64_t integer_of(const std::string& bytes)
{
    std::int64_t value = static_cast<signed char>(bytes[0]);
    for (const char byte : bytes.substr(1)) {
        value = static_cast<std::int64_t>(static_cast<std::uint64_t>(value) << 8U | static_cast<unsigned char>(byte));
    }
    return value;
}

RC_GTEST_PROP(NumberTextProperty, TwosComplementIsTheNumberInTheFewestBytes, (std::int64_t value))
{
    const std::string bytes = twos_complement(*read_decimal(std::to_string(value)));
    RC_ASSERT(integer_of(bytes) == value);
    if (bytes.size() > 1) {
        RC_ASSERT(integer_of(bytes.substr(1)) != value);
    }
}

RC_GTEST_PROP(NumberTextProperty, LongNumbersAreRightToo, (std::int64_t high, std::uint32_t low))
{
    // high * 10^18 + low, against 128-bit arithmetic.
    constexpr __int128 kFactor = 1'000'000'000'000'000'000;
    const bool negative = high < 0;
    const auto magnitude_high =
        static_cast<unsigned __int128>(negative ? -static_cast<__int128>(high) : static_cast<__int128>(high));
    RC_PRE(magnitude_high > 0);
    const auto magnitude = magnitude_high * static_cast<unsigned __int128>(kFactor) + low;
    std::string tail = std::to_string(low);
    tail.insert(0, 18 - tail.size(), '0');
    std::string text = std::to_string(static_cast<std::uint64_t>(magnitude_high)) + tail;
    text.insert(0, negative ? "-" : "");
    const std::string bytes = twos_complement(*read_decimal(text));
    auto expected = negative ? static_cast<unsigned __int128>(0) - magnitude : magnitude;
    for (auto byte = bytes.rbegin(); byte != bytes.rend(); ++byte, expected >>= 8U) {
        RC_ASSERT(static_cast<unsigned char>(*byte) == static_cast<unsigned char>(expected & 0xFFU));
    }
}

TEST(NumberText, DecimalsAreScaledWithoutLoss)
{
    const Decimal value = *read_decimal("-0012.3400");
    EXPECT_TRUE(value.negative);
    EXPECT_EQ(value.digits, "123400");
    EXPECT_EQ(value.scale, 4);
    EXPECT_EQ(stripped(value).digits, "1234");
    EXPECT_EQ(stripped(value).scale, 2);
    EXPECT_EQ(stripped(*read_decimal("12300")).digits, "12300") << "no negative scale";
    EXPECT_EQ(stripped(*read_decimal("0.000")).scale, 0);
    EXPECT_EQ(rescaled(*read_decimal("1.1"), 2).digits, "110");
    EXPECT_EQ(rescaled(*read_decimal("12300"), -2).digits, "123");
    EXPECT_FALSE(rescaled(*read_decimal("-0.4"), 0).negative) << "there is no minus zero";
    EXPECT_FALSE(read_decimal("NaN").has_value());
    EXPECT_FALSE(read_decimal("Infinity").has_value());
}

} // namespace
} // namespace keyshift::cdc
