#include "daemon/commands/commands.hpp"
#include "daemon/commands/follow_job.hpp"

#include "core/json.hpp"
#include "resharder/resharder.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/core.h>

namespace keyshift::daemon {

namespace {

void drain(CommandContext& context, pg::Connection& catalog, const std::string& node)
{
    const nlohmann::json drained = resharder::drain(catalog, node, context.dry_run);
    for (const auto& table : drained["stays"]) {
        note(
            fmt::format("warning: {} is captured and stays on {}: no move takes it, and `keyshift node remove` refuses",
                        table.get<std::string>(), node));
    }
    if (context.dry_run) {
        print_plan(context, drained);
        return;
    }
    if (drained["job"].is_null()) {
        context.print({{"node", node}, {"state", "draining"}, {"job", nullptr}});
        note("it owns no bucket");
    } else {
        follow_job(context, catalog, drained["job"].get<std::int64_t>());
    }
    if (context.status == 0 && (context.wait || drained["job"].is_null())) {
        context.next_step(fmt::format("keyshift node remove {} --yes", node));
    }
}

} // namespace

void add_drain_command(CLI::App& node, CommandContext& context)
{
    struct Request {
        std::string node;
        bool undo = false;
    };
    const auto request = std::make_shared<Request>();
    CLI::App* verb = add_verb(node, "drain", "Move everything away from a node; it takes no bucket until --undo",
                              "keyshift node drain n1 --wait");
    verb->add_option("name", request->node, "Name of the node")->required();
    verb->add_flag("--undo", request->undo, "It takes buckets again; what was moved away stays where it is");
    takes_long(changes(verb, context), context)->callback([&context, request] {
        pg::Connection catalog = context.catalog();
        if (request->undo) {
            context.print(resharder::undo_drain(catalog, request->node, context.dry_run));
            context.next_step("keyshift reshard plan");
        } else {
            drain(context, catalog, request->node);
        }
    });
}

} // namespace keyshift::daemon
