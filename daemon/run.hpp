#pragma once
/// `keyshift run`: checks everything first, then works until SIGTERM or SIGINT.

#include <map>
#include <optional>
#include <string>

namespace keyshift::daemon {

/// The exit status. Throws before anything is touched when a check fails.
int run_daemon(const std::optional<std::string>& config_file, const std::map<std::string, std::string>& flags);

} // namespace keyshift::daemon
