#include "daemon/commands/commands.hpp"

#include "core/json.hpp"
#include "daemon/wait.hpp"
#include "projections/reference/reference_command.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/core.h>

namespace keyshift::daemon {

namespace {

void wait_for_copies(CommandContext& context, pg::Connection& catalog, const std::string& table)
{
    Progress progress;
    projections::CopiesDone done;
    const WaitResult ended = wait_until(context, [&] {
        done = projections::copies_done(catalog, table);
        progress.show(done.all == 0 ? 1 : static_cast<double>(done.live) / static_cast<double>(done.all),
                      fmt::format("{}: {} of {} copies live{}{}", table, done.live, done.all,
                                  done.waits.empty() ? "" : "; ", done.waits));
        return done.live == done.all;
    });
    progress.finish();
    if (ended != WaitResult::reached) {
        note(fmt::format(
            "{} of {} copies are live, the others are filled as they can be; look with `keyshift table show {}`",
            done.live, done.all, table));
        context.status = exit_status_of(ended);
    }
}

} // namespace

void add_reference_command(CLI::App& table, CommandContext& context)
{
    struct Options {
        std::string table;
        std::string node;
    };
    const auto options = std::make_shared<Options>();
    CLI::App* verb =
        add_verb(table, "reference", "Keep a full copy of a table on every node; foreign keys may point at it",
                 "keyshift table reference countries --wait");
    verb->add_option("table", options->table, "Table, which stays where it is and is written there")->required();
    verb->add_option("--node", options->node, "Its home, where several nodes have it and none has rows");
    takes_long(changes(verb, context), context)->callback([&context, options] {
        pg::Connection catalog = context.catalog();
        projections::ReferenceRequest request;
        request.table = options->table;
        request.node = options->node.empty() ? std::nullopt : std::optional(options->node);
        request.dry_run = context.dry_run;
        request.forms = context.config().projection.forms;
        context.print(projections::make_reference(catalog, request));
        if (context.dry_run) {
            return;
        }
        context.mention_missing_daemon(catalog, "the copies are made; their rows are queued");
        if (context.wait) {
            wait_for_copies(context, catalog, options->table);
        }
    });
}

} // namespace keyshift::daemon
