#include "daemon/commands/commands.hpp"

#include "daemon/status_report.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>

namespace keyshift::daemon {

void add_cdc_commands(CLI::App& app, CommandContext& context)
{
    CLI::App* cdc = add_verb(app, "cdc", "Change capture", "keyshift cdc status");
    cdc->require_subcommand(1);
    add_verb(*cdc, "status", "Each node's stream: state, slot, lag, retained WAL", "keyshift cdc status -o json")
        ->callback([&context] {
            pg::Connection catalog = context.catalog();
            context.print(cdc_status(catalog), {"node", "state", "slot", "confirmed_lsn", "lag_bytes", "lag_seconds",
                                                "retained_bytes", "error"});
        });
}

} // namespace keyshift::daemon
