#include "demo/screen.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace keyshift::demo {

namespace {

constexpr int kSteps = 7;

double seconds_since_start()
{
    static const auto start = std::chrono::steady_clock::now();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void print_row(const std::vector<std::string>& row, const std::vector<std::size_t>& widths)
{
    std::string line = "   ";
    for (std::size_t column = 0; column < row.size(); ++column) {
        line += fmt::format(" {:<{}} ", row[column], widths[column]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    say(line);
}

} // namespace

void step(int number, std::string_view title)
{
    fmt::print("\n{}/{}  {}   ({:.0f} s)\n", number, kSteps, title, seconds_since_start());
    std::fflush(stdout);
}

void say(std::string_view line)
{
    fmt::print("{}\n", line);
    std::fflush(stdout);
}

void command_line(std::string_view command)
{
    say(fmt::format("  $ keyshift {}", command));
}

void table(const std::vector<std::vector<std::string>>& rows)
{
    std::vector<std::size_t> widths;
    for (const auto& row : rows) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t column = 0; column < row.size(); ++column) {
            widths[column] = std::max(widths[column], row[column].size());
        }
    }
    for (std::size_t i = 0; i < rows.size(); ++i) {
        print_row(rows[i], widths);
        if (i == 0) {
            std::vector<std::string> rule;
            for (const std::size_t width : widths) {
                rule.emplace_back(width, '-');
            }
            print_row(rule, widths);
        }
    }
}

std::string grouped(long long number)
{
    std::string digits = std::to_string(number);
    for (auto at = static_cast<long>(digits.size()) - 3; at > (number < 0 ? 1 : 0); at -= 3) {
        digits.insert(static_cast<std::size_t>(at), ",");
    }
    return digits;
}

} // namespace keyshift::demo
