#pragma once
/// What the demo shows: numbered steps, commands as a user would type them, tables. All on stdout.

#include <string>
#include <string_view>
#include <vector>

namespace keyshift::demo {

/// "3/7  A writer starts", with the seconds since the demo began.
void step(int number, std::string_view title);
void say(std::string_view line);
/// "  $ keyshift reshard plan"
void command_line(std::string_view command);

/// Columns as wide as their widest cell; the first row is the heading.
void table(const std::vector<std::vector<std::string>>& rows);

/// 12345678 -> "12,345,678".
std::string grouped(long long number);

} // namespace keyshift::demo
