#pragma once
/// Writes pgoutput messages byte by byte.

#include <cstdint>
#include <string>
#include <string_view>

namespace keyshift::test {

class MessageBytes {
public:
    explicit MessageBytes(char kind) : bytes_(1, kind) {}
    MessageBytes& u8(std::uint8_t value) { return number(value, 1); }
    MessageBytes& u16(std::uint16_t value) { return number(value, 2); }
    MessageBytes& u32(std::uint32_t value) { return number(value, 4); }
    MessageBytes& u64(std::uint64_t value) { return number(value, 8); }
    MessageBytes& text(std::string_view value)
    {
        bytes_.append(value);
        bytes_ += '\0';
        return *this;
    }
    MessageBytes& value(std::string_view value)
    {
        u8('t').u32(static_cast<std::uint32_t>(value.size()));
        bytes_.append(value);
        return *this;
    }
    MessageBytes& raw(std::string_view value)
    {
        bytes_.append(value);
        return *this;
    }
    operator const std::string&() const { return bytes_; }
    const std::string& bytes() const { return bytes_; }

private:
    MessageBytes& number(std::uint64_t value, int size)
    {
        for (int i = size - 1; i >= 0; --i) {
            bytes_ += static_cast<char>((value >> (8 * i)) & 0xFFU);
        }
        return *this;
    }
    std::string bytes_;
};

} // namespace keyshift::test
