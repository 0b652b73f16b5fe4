#include "daemon/command_line.hpp"

#include "daemon/commands/commands.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/core.h>

namespace keyshift::daemon {

namespace {

void add_global_flags(CLI::App& app, CommandContext& context)
{
    app.add_option("--config", context.config_file,
                   "Configuration file; else $KEYSHIFT_CONFIG, else /etc/keyshift/keyshift.toml");
    app.add_option("-o,--output", context.output, "table, json or ndjson")
        ->check(CLI::IsMember({"table", "json", "ndjson"}));
    app.add_option_function<std::vector<std::string>>(
           "--set",
           [&context](const std::vector<std::string>& settings) {
               for (const std::string& setting : settings) {
                   const std::size_t equals = setting.find('=');
                   context.flags[setting.substr(0, equals)] =
                       equals == std::string::npos ? "" : setting.substr(equals + 1);
               }
           },
           "section.key=value: overrides the configuration")
        ->take_all();
}

/// The innermost verb that was understood, and the words behind it.
std::pair<std::string, std::string> where_it_ends(const CLI::App& app)
{
    const CLI::App* verb = &app;
    std::string words = "keyshift";
    while (!verb->get_subcommands().empty()) {
        verb = verb->get_subcommands().front();
        words += " " + verb->get_name();
    }
    std::string rest;
    for (const std::string& word : app.remaining(true)) {
        rest += (rest.empty() ? "" : " ") + word;
    }
    return {words, rest};
}

int usage(const CLI::App& app, const CLI::ParseError& error)
{
    if (error.get_exit_code() == 0) {
        return app.exit(error);
    }
    const auto [verb, rest] = where_it_ends(app);
    print_error({"reading the command line after `" + verb + "`",
                 rest.empty() ? std::string(error.what()) : "\"" + rest + "\" is not understood here",
                 "`" + verb + " --help` lists what there is."});
    return exit_status(ErrorKind::usage);
}

} // namespace

int run_command_line(int count, char** arguments)
{
    CommandContext context;
    CLI::App app{"Keyshift: change capture, online resharding and projections for sharded PostgreSQL.", "keyshift"};
    app.require_subcommand(1);
    app.footer(
        "Exit: 0 ok, 1 failed, 2 usage, 3 configuration, 4 cannot reach, 5 refused by a check, 6 data differs, 10 unhealthy, "
        "124 timed out, 130 interrupted.");
    app.set_version_flag("--version", "keyshift " KEYSHIFT_VERSION, "Version of this program");
    add_global_flags(app, context);
    add_setup_commands(app, context);
    add_advise_command(app, context);
    add_node_commands(app, context);
    add_table_commands(app, context);
    add_ddl_command(app, context);
    add_run_commands(app, context);
    add_reshard_commands(app, context);
    add_projection_commands(app, context);
    add_rejection_commands(app, context);
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
        print_error({"keyshift", std::string("a fault of the program: ") + error.what(),
                     "Please report it with the command that you ran."});
        return 1;
    }
}

} // namespace keyshift::daemon
