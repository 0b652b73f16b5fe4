#include "core/size_words.hpp"

#include <fmt/core.h>

#include <string_view>

namespace keyshift {

std::string size_words(double bytes)
{
    const char* unit = "B";
    for (const char* next : {"kB", "MB", "GB", "TB"}) {
        if (bytes < 1000) {
            break;
        }
        bytes /= 1000;
        unit = next;
    }
    return std::string_view(unit) == "B" ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, unit);
}

} // namespace keyshift
