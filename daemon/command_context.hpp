#pragma once
/// What every command shares: the global flags, the configuration, the catalog connection.

#include "core/pg/connection.hpp"
#include "daemon/config.hpp"
#include "daemon/output.hpp"
#include "daemon/single_daemon.hpp"

#include <nlohmann/json_fwd.hpp>

#include <chrono>
#include <map>
#include <optional>
#include <stop_token>
#include <string>

namespace keyshift::daemon {

struct CommandContext {
    std::optional<std::string> config_file;
    std::string output = "table";
    bool dry_run = false;
    bool yes = false;
    bool wait = false;
    std::string timeout = "0s";               ///< 0: no limit
    std::map<std::string, std::string> flags; ///< configuration keys given as flags
    int status = 0;                           ///< the exit status, unless an error is thrown

    Config config() const { return checked(load_config(config_file, flags)); }
    OutputFormat format() const;
    /// Connected and of a version that this program knows.
    pg::Connection catalog() const;
    /// Connected only: for init and for doctor before it.
    pg::Connection raw_catalog() const;
    void print(const nlohmann::json& data, const std::vector<std::string>& columns = {}) const
    {
        daemon::print(data, format(), columns);
    }
    /// Destructive commands: asks on a terminal; elsewhere refuses without --yes.
    void confirm(const std::string& question) const;
    /// The time --timeout allows; nullopt: none.
    std::optional<std::chrono::milliseconds> limit() const;
    /// The next step, for people: stderr, not in a dry run.
    void next_step(const std::string& line) const;
    /// Says that the work waits when no daemon runs.
    void mention_missing_daemon(pg::Connection& catalog, const std::string& what) const;
};

/// Set by SIGINT in a command that waits: the work goes on, the command ends with 130.
bool interrupted();
void watch_interrupt();

} // namespace keyshift::daemon
