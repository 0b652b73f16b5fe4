#include "daemon/output.hpp"

#include "core/json.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <unistd.h>
#include <vector>

namespace keyshift::daemon {

namespace {

using Json = nlohmann::json;

/// One value as people read it: lists with commas, an error by its cause.
std::string cell(const Json& value)
{
    if (value.is_null() || (value.is_structured() && value.empty())) {
        return "-";
    }
    if (value.is_object() && value.contains("why")) {
        return value.value("what", "") + ": " + value["why"].get<std::string>();
    }
    if (value.is_structured()) {
        std::string list;
        for (const auto& [name, element] : value.items()) {
            list += (list.empty() ? "" : ", ") + (value.is_object() ? name + " " : std::string()) + cell(element);
        }
        return list;
    }
    return value.is_string() ? value.get<std::string>() : value.dump();
}

std::size_t width_of(const std::string& text)
{
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char byte) { return (byte & 0xC0) != 0x80; }));
}

std::string padded(const std::string& text, std::size_t width)
{
    return text + std::string(width - std::min(width, width_of(text)), ' ');
}

std::vector<std::string> all_names(const Json& rows)
{
    std::vector<std::string> names;
    for (const Json& row : rows) {
        for (const auto& [name, value] : row.items()) {
            if (std::find(names.begin(), names.end(), name) == names.end()) {
                names.push_back(name);
            }
        }
    }
    return names;
}

void print_rows(const Json& rows, const std::vector<std::string>& columns)
{
    const std::vector<std::string> names = columns.empty() ? all_names(rows) : columns;
    std::map<std::string, std::size_t> widths;
    for (const std::string& name : names) {
        widths[name] = name.size();
        for (const Json& row : rows) {
            widths[name] = std::max(widths[name], width_of(row.contains(name) ? cell(row[name]) : "-"));
        }
    }
    const auto line = [&](const auto& text_of) {
        std::string out;
        for (const std::string& name : names) {
            out += padded(text_of(name), widths[name]) + "  ";
        }
        out.erase(out.find_last_not_of(' ') + 1);
        fmt::print("{}\n", out);
    };
    line([](const std::string& name) { return name; });
    for (const Json& row : rows) {
        line([&](const std::string& name) { return row.contains(name) ? cell(row[name]) : std::string("-"); });
    }
}

bool is_table(const Json& value)
{
    return value.is_array() && !value.empty() && value.front().is_object();
}

void print_object(const Json& object)
{
    std::size_t width = 0;
    for (const auto& [name, value] : object.items()) {
        width = std::max(width, name.size());
    }
    for (const auto& [name, value] : object.items()) {
        if (name == "warnings" && value.is_array()) {
            for (const Json& warning : value) {
                note("warning: " + cell(warning));
            }
        } else if (!is_table(value)) {
            fmt::print("{}  {}\n", padded(name, width), cell(value));
        }
    }
    for (const auto& [name, value] : object.items()) {
        if (is_table(value)) {
            fmt::print("\n{}:\n", name);
            print_rows(value, {});
        }
    }
}

bool terminal()
{
    const char* kind = std::getenv("TERM");
    return isatty(STDERR_FILENO) != 0 && kind != nullptr && std::string_view(kind) != "dumb";
}

} // namespace

void print(const Json& data, OutputFormat format, const std::vector<std::string>& columns)
{
    if (format == OutputFormat::json) {
        fmt::print("{}\n", data.dump());
    } else if (format == OutputFormat::ndjson) {
        const Json rows = data.is_array() ? data : Json::array({data});
        for (const Json& row : rows) {
            fmt::print("{}\n", row.dump());
        }
    } else if (is_table(data)) {
        print_rows(data, columns);
    } else if (data.is_object()) {
        print_object(data);
    } else if (!data.is_array()) {
        fmt::print("{}\n", cell(data));
    }
    std::fflush(stdout);
}

std::string duration_words(double seconds)
{
    if (seconds < 100) {
        return fmt::format("{:.0f} s", seconds);
    }
    return seconds < 6000 ? fmt::format("{:.0f} min", seconds / 60) : fmt::format("{:.1f} h", seconds / 3600);
}

void note(std::string_view line)
{
    fmt::print(stderr, "{}\n", line);
}

void print_error(const ErrorParts& parts)
{
    fmt::print(stderr, "error: {}\n", parts.what);
    if (!parts.why.empty()) {
        fmt::print(stderr, "  why:  {}\n", parts.why);
    }
    if (!parts.next.empty()) {
        fmt::print(stderr, "  next: {}\n", parts.next);
    }
}

void Progress::show(double part, std::string_view text)
{
    constexpr int kWidth = 30;
    constexpr double kQuietSeconds = 2;
    const double now = std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
    if (terminal()) {
        const int filled = static_cast<int>(std::clamp(part, 0.0, 1.0) * kWidth);
        fmt::print(stderr, "\r\033[K[{}{}] {:3.0f} %  {}", std::string(static_cast<std::size_t>(filled), '#'),
                   std::string(static_cast<std::size_t>(kWidth - filled), '.'), part * 100, text);
        drawn_ = true;
    } else if (now - last_shown_ >= kQuietSeconds) {
        fmt::print(stderr, "{:3.0f} %  {}\n", part * 100, text);
        last_shown_ = now;
    }
    std::fflush(stderr);
}

void Progress::finish()
{
    if (drawn_) {
        fmt::print(stderr, "\n");
        drawn_ = false;
    }
}

} // namespace keyshift::daemon
