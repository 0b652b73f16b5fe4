#pragma once
/// The verbs, one file per family. Each function adds its subcommands to the application; a subcommand's callback does
/// the work through the library of its part and prints. Callbacks run inside CLI::App::parse; errors are thrown.

#include "daemon/command_context.hpp"

#include <CLI/App.hpp>

#include <memory>

namespace keyshift::daemon {

void add_setup_commands(CLI::App& app,
                        CommandContext& context); ///< init, deinit, doctor, status, version, config, route
void add_advise_command(CLI::App& app, CommandContext& context);                  ///< advise
void add_node_commands(CLI::App& app, CommandContext& context);                   ///< node ...
void add_drain_command(CLI::App& node, CommandContext& context);                  ///< node drain
void add_node_set_command(CLI::App& node, CommandContext& context);               ///< node set
void add_ddl_command(CLI::App& app, CommandContext& context);                     ///< ddl
void add_table_commands(CLI::App& app, CommandContext& context);                  ///< table ...
void add_capture_command(CLI::App& table, CommandContext& context);               ///< table capture
void add_reference_command(CLI::App& table, CommandContext& context);             ///< table reference
void add_reshard_commands(CLI::App& app, CommandContext& context);                ///< reshard ...
void add_split_commands(CLI::App& reshard, CommandContext& context);              ///< reshard split, isolate
void add_projection_commands(CLI::App& app, CommandContext& context);             ///< projection ...
void add_projection_life_commands(CLI::App& projection, CommandContext& context); ///< projection rebuild, explain
void add_rejection_commands(CLI::App& app, CommandContext& context);              ///< rejections ...
void add_cdc_commands(CLI::App& app, CommandContext& context);                    ///< cdc ...
void add_run_commands(CLI::App& app, CommandContext& context);                    ///< run, reload

/// A subcommand with its help text and an example at the end of --help.
CLI::App* add_verb(CLI::App& parent, const std::string& name, const std::string& help, const std::string& example);
/// For a verb that changes something: --dry-run.
CLI::App* changes(CLI::App* verb, CommandContext& context);
/// For one that takes something away: --dry-run and --yes.
CLI::App* destroys(CLI::App* verb, CommandContext& context);
/// For one whose work takes long: --wait and --timeout.
CLI::App* takes_long(CLI::App* verb, CommandContext& context);

} // namespace keyshift::daemon
