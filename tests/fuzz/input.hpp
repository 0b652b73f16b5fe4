#pragma once
/// Takes a fuzzer's bytes apart, and says what is wrong when a promise is broken: the fuzzer keeps the input of an abort.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace keyshift::fuzz {

/// Numbers and texts from the front of an input; zeros and empty texts once it is used up.
class Input {
public:
    Input(const std::uint8_t* data, std::size_t size) : left_(reinterpret_cast<const char*>(data), size) {}

    bool empty() const { return left_.empty(); }
    std::uint8_t byte()
    {
        const std::string_view one = bytes(1);
        return one.empty() ? std::uint8_t{0} : static_cast<std::uint8_t>(one.front());
    }
    /// A number below `end`.
    std::size_t below(std::size_t end) { return byte() % end; }
    bool flag() { return (byte() & 1U) != 0; }
    std::uint64_t number()
    {
        std::uint64_t value = 0;
        for (const char one : bytes(8)) {
            value = value << 8U | static_cast<unsigned char>(one);
        }
        return value;
    }
    std::string_view bytes(std::size_t count)
    {
        const std::string_view taken = left_.substr(0, count);
        left_.remove_prefix(taken.size());
        return taken;
    }
    /// A length in one byte, then so many bytes.
    std::string_view text() { return bytes(byte()); }
    /// A length in two bytes, then so many bytes.
    std::string_view long_text()
    {
        const std::size_t high = byte();
        return bytes(high << 8U | byte());
    }
    std::string_view rest() { return bytes(left_.size()); }

private:
    std::string_view left_;
};

[[noreturn]] inline void broken(std::string_view promise, std::string_view evidence)
{
    std::fprintf(stderr, "broken: %.*s\n  %.*s\n", static_cast<int>(promise.size()), promise.data(),
                 static_cast<int>(evidence.size()), evidence.data());
    std::abort();
}

inline void promise(bool kept, std::string_view what, std::string_view evidence)
{
    if (!kept) {
        broken(what, evidence);
    }
}

} // namespace keyshift::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
