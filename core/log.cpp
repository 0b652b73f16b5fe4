#include "core/log.hpp"

#include <fmt/chrono.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <mutex>

namespace keyshift::log {

namespace {

std::atomic<Level> least = Level::info;
std::atomic<Format> format = Format::text;

constexpr std::array<std::string_view, 4> kNames{"debug", "info", "warning", "error"};

/// Control characters never reach a terminal or a log file raw; in JSON quotes and backslashes neither.
std::string escaped(std::string_view text, bool json)
{
    std::string out;
    out.reserve(text.size());
    for (const char next : text) {
        if (static_cast<unsigned char>(next) < 0x20) {
            out += next == '\n' ? "\\n" : fmt::format("\\u{:04x}", static_cast<unsigned char>(next));
        } else if (json && (next == '"' || next == '\\')) {
            out += {'\\', next};
        } else {
            out += next;
        }
    }
    return out;
}

std::string timestamp()
{
    const auto now = std::chrono::system_clock::now();
    const auto milliseconds =
        std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
    return fmt::format("{:%FT%T}.{:03}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(now)), milliseconds);
}

} // namespace

void configure(Level level, Format chosen)
{
    least = level;
    format = chosen;
}

void write(Level level, std::string_view component, std::string_view message)
{
    if (level < least.load(std::memory_order_relaxed)) {
        return;
    }
    const std::string_view name = kNames.at(static_cast<std::size_t>(level));
    const bool json = format.load(std::memory_order_relaxed) == Format::json;
    const std::string line =
        json ? fmt::format("{{\"time\":\"{}\",\"level\":\"{}\",\"component\":\"{}\",\"message\":\"{}\"}}\n",
                           timestamp(), name, escaped(component, true), escaped(message, true))
             : fmt::format("{} {:<7} {}: {}\n", timestamp(), name, component, escaped(message, false));
    std::fwrite(line.data(), 1, line.size(), stderr);
}

} // namespace keyshift::log
