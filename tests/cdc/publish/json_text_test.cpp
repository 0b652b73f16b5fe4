#include "cdc/publish/json_text.hpp"
#include "core/json.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstdint>
#include <vector>

namespace keyshift::cdc {
namespace {

std::string json_of(std::string_view text)
{
    std::string out;
    append_string(out, text);
    return out;
}

std::string base64_of(std::string_view bytes)
{
    std::string out;
    append_base64(out, bytes);
    return out;
}

TEST(JsonText, EscapesWhatJacksonEscapesAndLeavesTheRestRaw)
{
    EXPECT_EQ(json_of("plain"), R"("plain")");
    EXPECT_EQ(json_of(""), R"("")");
    EXPECT_EQ(json_of("quote \" backslash \\ slash /"), R"("quote \" backslash \\ slash /")");
    EXPECT_EQ(json_of("\b\t\n\f\r"), R"("\b\t\n\f\r")");
    EXPECT_EQ(json_of("\x01\x1f\x7f"), "\"\\u0001\\u001F\x7f\"");
    EXPECT_EQ(json_of("Zoë 漢字 😀"), R"("Zoë 漢字 \uD83D\uDE00")");
}

TEST(JsonText, Base64IsTheStandardsWithPadding) // RFC 4648, 10
{
    EXPECT_EQ(base64_of(""), "");
    EXPECT_EQ(base64_of("f"), "Zg==");
    EXPECT_EQ(base64_of("fo"), "Zm8=");
    EXPECT_EQ(base64_of("foo"), "Zm9v");
    EXPECT_EQ(base64_of("foob"), "Zm9vYg==");
    EXPECT_EQ(base64_of("fooba"), "Zm9vYmE=");
    EXPECT_EQ(base64_of("foobar"), "Zm9vYmFy");
    EXPECT_EQ(base64_of("\xff\xfe\xfd"), "//79");
}

std::string utf8(std::uint32_t code)
{
    std::string out;
    const auto tail = [&](unsigned shift) {
        out += static_cast<char>(0x80U | (code >> shift & 0x3FU));
    };
    if (code < 0x80) {
        out += static_cast<char>(code);
    } else if (code < 0x800) {
        out += static_cast<char>(0xC0U | code >> 6U);
        tail(0);
    } else if (code < 0x10000) {
        out += static_cast<char>(0xE0U | code >> 12U);
        tail(6);
        tail(0);
    } else {
        out += static_cast<char>(0xF0U | code >> 18U);
        tail(12);
        tail(6);
        tail(0);
    }
    return out;
}

RC_GTEST_PROP(JsonTextProperty, AnyTextComesBackFromAJsonParser, ())
{
    std::string text;
    for (const std::uint32_t code : *rc::gen::container<std::vector<std::uint32_t>>(
             rc::gen::oneOf(rc::gen::inRange<std::uint32_t>(1, 0x80), rc::gen::inRange<std::uint32_t>(0x80, 0xD800),
                            rc::gen::inRange<std::uint32_t>(0xE000, 0x110000)))) {
        text += utf8(code);
    }
    RC_ASSERT(nlohmann::json::parse(json_of(text)).get<std::string>() == text);
}

std::string bytes_of_base64(std::string_view text)
{
    constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string bytes;
    std::uint32_t bits = 0;
    int count = 0;
    for (const char letter : text.substr(0, text.find('='))) {
        bits = bits << 6U | static_cast<std::uint32_t>(kDigits.find(letter));
        count += 6;
        if (count >= 8) {
            count -= 8;
            bytes += static_cast<char>(bits >> count & 0xFFU);
        }
    }
    return bytes;
}

RC_GTEST_PROP(JsonTextProperty, AnyBytesComeBackFromBase64, (const std::string& bytes))
{
    const std::string text = base64_of(bytes);
    RC_ASSERT(text.size() == (bytes.size() + 2) / 3 * 4);
    RC_ASSERT(bytes_of_base64(text) == bytes);
}

} // namespace
} // namespace keyshift::cdc
