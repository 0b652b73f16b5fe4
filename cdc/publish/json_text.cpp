#include "cdc/publish/json_text.hpp"

#include <array>
#include <charconv>
#include <cstring>

namespace keyshift::cdc {

namespace {

constexpr std::string_view kHex = "0123456789ABCDEF";
constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool plain(char letter)
{
    return static_cast<unsigned char>(letter) >= 0x20 && letter != '"' && letter != '\\';
}

/// The first of the four bytes of a character beyond U+FFFF.
bool begins_supplementary(char letter)
{
    return static_cast<unsigned char>(letter) >= 0xF0;
}

/// Each byte of the result is 0x80 where the same byte of `word` is one of those that need a closer look: below 0x20, from
/// 0xF0 on, a quote or a backslash. A byte next to such a one may have it too.
std::uint64_t closer_look(std::uint64_t word)
{
    constexpr std::uint64_t kOnes = 0x0101010101010101U;
    constexpr std::uint64_t kHigh = 0x80U * kOnes;
    const auto zeros = [](std::uint64_t bytes) {
        return (bytes - kOnes) & ~bytes;
    };
    const std::uint64_t control = (word - 0x20U * kOnes) & ~word;
    const std::uint64_t from_f0 = word & (word << 1U) & (word << 2U) & (word << 3U);
    return (control | zeros(word ^ ('"' * kOnes)) | zeros(word ^ ('\\' * kOnes)) | from_f0) & kHigh;
}

/// The first place from `at` on that may need a closer look; eight bytes are looked at in one go.
std::size_t simple_prefix(std::string_view text, std::size_t at)
{
    for (std::uint64_t word = 0; at + sizeof(word) <= text.size(); at += sizeof(word)) {
        std::memcpy(&word, text.data() + at, sizeof(word));
        if (closer_look(word) != 0) {
            break;
        }
    }
    return at;
}

void append_unit(std::string& out, std::uint32_t unit)
{
    out += "\\u";
    for (const unsigned shift : {12U, 8U, 4U, 0U}) {
        out += kHex[unit >> shift & 0xFU];
    }
}

/// `four`: the UTF-8 of one character.
void append_surrogates(std::string& out, std::string_view four)
{
    std::uint32_t point = static_cast<unsigned char>(four[0]) & 0x07U;
    for (const char byte : four.substr(1)) {
        point = point << 6U | (static_cast<unsigned char>(byte) & 0x3FU);
    }
    point -= 0x10000;
    append_unit(out, 0xD800 + (point >> 10U));
    append_unit(out, 0xDC00 + (point & 0x3FFU));
}

void append_escaped(std::string& out, char letter)
{
    switch (letter) {
    case '"':
        out += "\\\"";
        return;
    case '\\':
        out += "\\\\";
        return;
    case '\n':
        out += "\\n";
        return;
    case '\r':
        out += "\\r";
        return;
    case '\t':
        out += "\\t";
        return;
    case '\b':
        out += "\\b";
        return;
    case '\f':
        out += "\\f";
        return;
    default:
        out += "\\u00";
        out += kHex[static_cast<unsigned char>(letter) >> 4U];
        out += kHex[static_cast<unsigned char>(letter) & 0xFU];
    }
}

} // namespace

void append_number(std::string& out, std::int64_t value)
{
    std::array<char, 24> buffer{};
    out.append(buffer.data(), std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr);
}

void append_string(std::string& out, std::string_view text)
{
    out += '"';
    std::size_t begin = 0;
    for (std::size_t at = simple_prefix(text, 0); at < text.size(); at = simple_prefix(text, at + 1)) {
        if (!plain(text[at])) {
            out.append(text, begin, at - begin);
            append_escaped(out, text[at]);
            begin = at + 1;
        } else if (begins_supplementary(text[at]) && text.size() - at >= 4) {
            out.append(text, begin, at - begin);
            append_surrogates(out, text.substr(at, 4));
            at += 3;
            begin = at + 1;
        }
    }
    out.append(text, begin);
    out += '"';
}

void append_inner_string(std::string& out, std::string_view text)
{
    out += '"';
    for (const char letter : text) {
        if (plain(letter)) {
            out += letter;
        } else {
            append_escaped(out, letter);
        }
    }
    out += '"';
}

void append_base64(std::string& out, std::string_view bytes)
{
    std::size_t at = 0;
    const auto byte = [&](std::size_t index) {
        return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[index]));
    };
    for (; at + 3 <= bytes.size(); at += 3) {
        const std::uint32_t three = byte(at) << 16U | byte(at + 1) << 8U | byte(at + 2);
        const std::array<char, 4> four{kBase64[three >> 18U], kBase64[three >> 12U & 63U], kBase64[three >> 6U & 63U],
                                       kBase64[three & 63U]};
        out.append(four.data(), four.size());
    }
    if (bytes.size() - at == 1) {
        const std::uint32_t one = byte(at) << 16U;
        out += {kBase64[one >> 18U], kBase64[one >> 12U & 63U], '=', '='};
    } else if (bytes.size() - at == 2) {
        const std::uint32_t two = byte(at) << 16U | byte(at + 1) << 8U;
        out += {kBase64[two >> 18U], kBase64[two >> 12U & 63U], kBase64[two >> 6U & 63U], '='};
    }
}

void append_base64_string(std::string& out, std::string_view bytes)
{
    out += '"';
    append_base64(out, bytes);
    out += '"';
}

} // namespace keyshift::cdc
