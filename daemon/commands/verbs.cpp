#include "daemon/commands/commands.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

namespace keyshift::daemon {

CLI::App* add_verb(CLI::App& parent, const std::string& name, const std::string& help, const std::string& example)
{
    CLI::App* verb = parent.add_subcommand(name, help);
    verb->footer("Example: " + example);
    verb->fallthrough();
    return verb;
}

CLI::App* changes(CLI::App* verb, CommandContext& context)
{
    verb->add_flag("--dry-run", context.dry_run, "Say what would be done, change nothing");
    return verb;
}

CLI::App* destroys(CLI::App* verb, CommandContext& context)
{
    verb->add_flag("--yes", context.yes, "Do not ask");
    return changes(verb, context);
}

CLI::App* takes_long(CLI::App* verb, CommandContext& context)
{
    verb->add_flag("--wait", context.wait, "Until it is done; Ctrl-C leaves the work running");
    verb->add_option("--timeout", context.timeout, "With --wait: give up after 30s, 5min, ... (exit 124)");
    return verb;
}

} // namespace keyshift::daemon
