#include "daemon/command_line.hpp"

#include "daemon/commands/commands.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/core.h>

namespace keyshift::daemon {

namespace {

void add_global_flags(CLI::App& app, CommandContext& context)
{
    app.add_option("--config", context.config_file, "Configuration file; else $KEYSHIFT_CONFIG, else /etc/keyshift/keyshift.toml");
    app.add_option("-o,--output", context.output, "table, json or ndjson")->check(CLI::IsMember({"table", "json", "ndjson"}));
    app.add_flag("--dry-run", context.dry_run, "Say what would be done, change nothing");
    app.add_flag("--yes", context.yes, "Do not ask");
    app.add_flag("--wait", context.wait, "Wait for work that takes long");
    app.add_option("--timeout", context.timeout, "With --wait: give up after 30s, 5min, ... (exit 124)");
    app.add_option_function<std::vector<std::string>>(
           "--set",
           [&context](const std::vector<std::string>& settings) {
               for (const std::string& setting : settings) {
                   const std::size_t equals = setting.find('=');
                   context.flags[setting.substr(0, equals)] = equals == std::string::npos ? "" : setting.substr(equals + 1);
               }
           },
           "section.key=value: overrides the configuration")
        ->take_all();
}

int usage(const CLI::App& app, const CLI::ParseError& error)
{
    if (error.get_exit_code() == 0) {
        return app.exit(error);
    }
    print_error({"reading the command line", error.what(), "`keyshift --help`, or `keyshift VERB --help`, lists what there is."});
    return exit_status(ErrorKind::usage);
}

} // namespace

int run_command_line(int count, char** arguments)
{
    CommandContext context;
    CLI::App app{"Keyshift: change capture, online resharding and projections for sharded PostgreSQL.", "keyshift"};
    app.require_subcommand(1);
    app.footer("Exit: 0 ok, 1 failed, 2 usage, 3 configuration, 4 cannot reach, 5 refused by a check, 6 data differs, 10 unhealthy, "
               "124 timed out, 130 interrupted.");
    add_global_flags(app, context);
    add_setup_commands(app, context);
    add_node_commands(app, context);
    add_table_commands(app, context);
    add_run_commands(app, context);
    add_reshard_commands(app, context);
    add_projection_commands(app, context);
    add_cdc_commands(app, context);
    try {
        app.parse(count, arguments);
        return context.status;
    } catch (const CLI::ParseError& error) {
        return usage(app, error);
    } catch (const Error& error) {
        print_error(error.parts());
        return exit_status(error.kind());
    } catch (const std::exception& error) {
        print_error({"keyshift", std::string("a fault of the program: ") + error.what(), "Please report it with the command that you ran."});
        return 1;
    }
}

} // namespace keyshift::daemon
