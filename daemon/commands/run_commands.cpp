#include "daemon/commands/commands.hpp"

#include "daemon/run.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fmt/core.h>
#include <unistd.h>

namespace keyshift::daemon {

namespace {

void reload(CommandContext& context)
{
    static_cast<void>(context.config());
    pg::Connection catalog = context.catalog();
    const pg::Result daemon = catalog.query("SELECT pid, host FROM keyshift.daemon");
    if (!daemon_runs(catalog) || daemon.rows() == 0) {
        throw RefusedError({"reloading the configuration", "no daemon runs", "Start it with `keyshift run`."});
    }
    if (daemon.text(0, 1) != host_name()) {
        throw RefusedError({"reloading the configuration", fmt::format("the daemon runs on host {}", daemon.text(0, 1)),
                            "Run this there, or send it SIGHUP."});
    }
    if (::kill(static_cast<pid_t>(daemon.integer(0, 0)), SIGHUP) != 0) {
        throw FatalError({fmt::format("reloading the daemon with pid {}", daemon.text(0, 0)), std::strerror(errno),
                          "Send SIGHUP on the daemon's own host, as its user."});
    }
}

} // namespace

void add_run_commands(CLI::App& app, CommandContext& context)
{
    add_verb(app, "run", "The daemon, in the foreground", "keyshift --config /etc/keyshift/keyshift.toml run")
        ->callback([&context] { context.status = run_daemon(context.config_file, context.flags); });
    add_verb(app, "reload", "Make the daemon on this host read its configuration again (SIGHUP)", "keyshift reload")
        ->callback([&context] { reload(context); });
}

} // namespace keyshift::daemon
