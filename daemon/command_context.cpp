#include "daemon/command_context.hpp"

#include "catalog/catalog.hpp"
#include "core/json.hpp"
#include "daemon/config_keys.hpp"

#include <fmt/core.h>

#include <csignal>
#include <iostream>
#include <unistd.h>

namespace keyshift::daemon {

namespace {

volatile std::sig_atomic_t interrupt_seen = 0;

} // namespace

OutputFormat CommandContext::format() const
{
    return output == "json" ? OutputFormat::json : output == "ndjson" ? OutputFormat::ndjson : OutputFormat::table;
}

pg::Connection CommandContext::raw_catalog() const
{
    return pg::Connection(config().catalog("command"));
}

pg::Connection CommandContext::catalog() const
{
    pg::Connection connection = raw_catalog();
    catalog::check_version(connection);
    return connection;
}

void CommandContext::confirm(const std::string& question) const
{
    if (yes || dry_run) {
        return;
    }
    if (isatty(STDIN_FILENO) == 0) {
        throw Error(ErrorKind::usage, {question, "there is no terminal to ask on", "Say --yes."});
    }
    fmt::print(stderr, "{} [y/N] ", question);
    std::string answer;
    std::getline(std::cin, answer);
    if (answer != "y" && answer != "yes") {
        throw Error(ErrorKind::refused, {question, "the answer was no", "Nothing was changed."});
    }
}

std::optional<std::chrono::milliseconds> CommandContext::limit() const
{
    const auto time = parse_duration(timeout);
    if (!time) {
        throw Error(ErrorKind::usage, {"--timeout " + timeout, "it is no duration", "Write it as 30s, 5min or 1h."});
    }
    return time->count() == 0 ? std::nullopt : time;
}

void CommandContext::next_step(const std::string& line) const
{
    if (!dry_run) {
        note("next: " + line);
    }
}

void CommandContext::mention_missing_daemon(pg::Connection& connection, const std::string& what) const
{
    if (!daemon_runs(connection)) {
        note(what + "; nothing happens until `keyshift run`");
    }
}

bool interrupted()
{
    return interrupt_seen != 0;
}

void watch_interrupt()
{
    std::signal(SIGINT, [](int) { interrupt_seen = 1; });
}

} // namespace keyshift::daemon
