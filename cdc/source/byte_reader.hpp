#pragma once
/// Reads big-endian numbers and strings from one WAL message and never past its end. Views live as long as the message.

#include "core/error.hpp"
#include "core/lsn.hpp"

#include <cstdint>
#include <string_view>

namespace keyshift::cdc {

class ByteReader {
public:
    ByteReader(std::string_view bytes, Lsn lsn) : left_(bytes), lsn_(lsn) {}

    std::uint8_t u8() { return static_cast<std::uint8_t>(bytes(1).front()); }
    std::uint16_t u16() { return static_cast<std::uint16_t>(big_endian(bytes(2))); }
    std::uint32_t u32() { return static_cast<std::uint32_t>(big_endian(bytes(4))); }
    std::uint64_t u64() { return big_endian(bytes(8)); }
    Lsn lsn() { return {u64()}; }

    std::string_view bytes(std::size_t count)
    {
        if (count > left_.size()) {
            fail("it ends too early");
        }
        const std::string_view taken = left_.substr(0, count);
        left_.remove_prefix(count);
        return taken;
    }
    /// Up to the terminating zero byte, which is taken too.
    std::string_view zero_terminated()
    {
        const std::size_t end = left_.find('\0');
        if (end == std::string_view::npos) {
            fail("a name has no end");
        }
        const std::string_view text = bytes(end);
        left_.remove_prefix(1);
        return text;
    }

    std::size_t size() const { return left_.size(); }
    Lsn position() const { return lsn_; }
    [[noreturn]] void fail(std::string_view why) const;

private:
    static std::uint64_t big_endian(std::string_view bytes)
    {
        std::uint64_t value = 0;
        for (const char byte : bytes) {
            value = (value << 8U) | static_cast<unsigned char>(byte);
        }
        return value;
    }

    std::string_view left_;
    Lsn lsn_;
};

} // namespace keyshift::cdc
