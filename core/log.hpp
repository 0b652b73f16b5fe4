#pragma once
/// The one logger: lines on stderr, as text or as one JSON object a line. The format is chosen once, at start.
/// Fields go in as key=value pairs in the message; control characters are escaped. Never log a DSN, a row or a key.

#include <fmt/core.h>

#include <string_view>
#include <utility>

namespace keyshift::log {

enum class Level { debug, info, warning, error };
enum class Format { text, json };

void configure(Level level, Format format);
void write(Level level, std::string_view component, std::string_view message);

template <typename... Args>
void debug(std::string_view component, fmt::format_string<Args...> text, Args&&... args)
{
    write(Level::debug, component, fmt::format(text, std::forward<Args>(args)...));
}
template <typename... Args>
void info(std::string_view component, fmt::format_string<Args...> text, Args&&... args)
{
    write(Level::info, component, fmt::format(text, std::forward<Args>(args)...));
}
template <typename... Args>
void warning(std::string_view component, fmt::format_string<Args...> text, Args&&... args)
{
    write(Level::warning, component, fmt::format(text, std::forward<Args>(args)...));
}
template <typename... Args>
void error(std::string_view component, fmt::format_string<Args...> text, Args&&... args)
{
    write(Level::error, component, fmt::format(text, std::forward<Args>(args)...));
}

} // namespace keyshift::log
