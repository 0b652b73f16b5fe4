#include "daemon/commands/commands.hpp"

#include "catalog/operations.hpp"
#include "core/json.hpp"
#include "daemon/status_report.hpp"
#include "daemon/wait.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <fmt/core.h>

namespace keyshift::daemon {

namespace {

void wait_until_read(CommandContext& context, pg::Connection& catalog, const nlohmann::json& queued)
{
    const std::string table = queued["table"];
    const std::int64_t id = queued["table_id"];
    Progress progress;
    nlohmann::json shown;
    const WaitResult ended = wait_until(context, [&] {
        shown = catalog::snapshot_progress(catalog, id);
        const auto total = shown["total"].get<std::int64_t>();
        const auto rows = shown["rows"].get<double>();
        const double estimate = shown["estimate"].is_number() ? shown["estimate"].get<double>() : 0;
        progress.show(estimate > 0 ? std::min(rows / estimate, 1.0) : 0,
                      fmt::format("{}: {} rows", table, shown["rows"].dump()));
        return total == shown["done"].get<std::int64_t>() + shown["failed"].get<std::int64_t>() +
                            shown["cancelled"].get<std::int64_t>();
    });
    progress.finish();
    if (shown["failed"].get<int>() > 0) {
        const nlohmann::json error = shown["error"];
        throw FatalError({"cdc snapshot " + table, error["why"].get<std::string>(), error["next"].get<std::string>()});
    }
    if (shown["cancelled"].get<int>() > 0) {
        throw FatalError({"cdc snapshot " + table, "it was cancelled", "Ask for it again when it is wanted."});
    }
    if (ended != WaitResult::reached) {
        note("the snapshot goes on; look with `keyshift cdc status`");
        context.status = exit_status_of(ended);
    } else {
        context.print({{"table", table}, {"rows", shown["rows"]}, {"parts", shown["total"]}});
    }
}

void add_snapshot(CLI::App& cdc, CommandContext& context)
{
    struct Options {
        catalog::SnapshotAgain request;
        std::string node;
        bool cancel = false;
    };
    const auto options = std::make_shared<Options>();
    CLI::App* verb = add_verb(cdc, "snapshot", "Read a table's rows into its topic once more, while its stream goes on",
                              "keyshift cdc snapshot users --where 'user_id < 1000' --wait");
    verb->add_option("table", options->request.table, "A captured or distributed table")->required();
    CLI::Option* where = verb->add_option("--where", options->request.where, "Only rows that meet this SQL condition");
    verb->add_flag("--cancel", options->cancel,
                   "Give up the snapshot of the table that is queued, under way or has failed")
        ->excludes(where);
    verb->add_option("--node", options->node, "Only what this node has");
    takes_long(changes(verb, context), context)->callback([&context, options] {
        options->request.dry_run = context.dry_run;
        options->request.node = options->node.empty() ? std::nullopt : std::optional(options->node);
        pg::Connection catalog = context.catalog();
        if (options->cancel) {
            context.print(catalog::cancel_snapshot(catalog, options->request));
            return;
        }
        const nlohmann::json queued = catalog::snapshot_again(catalog, options->request);
        if (!context.wait || context.dry_run) {
            context.print(queued);
        }
        if (!context.dry_run) {
            context.mention_missing_daemon(catalog, "the snapshot is queued");
        }
        if (context.wait && !context.dry_run) {
            wait_until_read(context, catalog, queued);
        }
    });
}

using Change = nlohmann::json (*)(pg::Connection&, const std::optional<std::string>&, bool);

void add_change(CLI::App& cdc, CommandContext& context, const std::string& name, const std::string& help,
                const char* what_follows, Change change)
{
    const auto node = std::make_shared<std::string>();
    CLI::App* verb = add_verb(cdc, name, help, "keyshift cdc " + name + " n1");
    verb->add_option("node", *node, "The node; without it all")->check([](const std::string& text) {
        return text.empty() ? std::string("a node's name is not empty") : std::string();
    });
    changes(verb, context)->callback([&context, node, what_follows, change] {
        pg::Connection catalog = context.catalog();
        context.print(change(catalog, node->empty() ? std::nullopt : std::optional(*node), context.dry_run),
                      {"node", "capture"});
        context.next_step(what_follows);
    });
}

void add_recover(CLI::App& cdc, CommandContext& context)
{
    const auto node = std::make_shared<std::string>();
    CLI::App* verb = add_verb(
        cdc, "recover", "After changes of a node were lost: a new slot, and every table read into its topic again",
        "keyshift cdc recover n1");
    verb->add_option("node", *node, "A node whose stream has stopped")->required();
    destroys(verb, context)->callback([&context, node] {
        if (!context.dry_run) {
            context.confirm(
                fmt::format("Accept that changes of {} are in no topic, and read all its tables again?", *node));
        }
        pg::Connection catalog = context.catalog();
        context.print(catalog::recover_capture(catalog, *node, context.dry_run));
        context.next_step("the stream goes on by itself; look with `keyshift cdc status`");
    });
}

void add_accept_partitions(CLI::App& cdc, CommandContext& context)
{
    const auto topic = std::make_shared<std::string>();
    CLI::App* verb = add_verb(cdc, "accept-partitions",
                              "After a topic has got another number of partitions, and consumers have read it to its "
                              "end: streams write to it again",
                              "keyshift cdc accept-partitions app.public.users");
    verb->add_option("topic", *topic, "The topic that the stopped stream names")->required();
    changes(verb, context)->callback([&context, topic] {
        pg::Connection catalog = context.catalog();
        context.print(catalog::accept_partitions(catalog, *topic, context.dry_run));
        context.next_step("the stream goes on in a moment");
    });
}

} // namespace

void add_cdc_commands(CLI::App& app, CommandContext& context)
{
    CLI::App* cdc = add_verb(app, "cdc", "Change capture", "keyshift cdc status");
    cdc->require_subcommand(1);
    add_verb(*cdc, "status", "Each node's stream: state, slot, lag, retained WAL", "keyshift cdc status -o json")
        ->callback([&context] {
            pg::Connection catalog = context.catalog();
            context.print(cdc_status(catalog), {"node", "state", "slot", "confirmed_lsn", "lag_bytes", "lag_seconds",
                                                "retained_bytes", "dead_letters", "error"});
        });
    add_snapshot(*cdc, context);
    add_change(*cdc, context, "pause", "End a node's stream until it is resumed; its slot keeps the WAL meanwhile",
               "its slot keeps all WAL on the node until `keyshift cdc resume`", catalog::pause_capture);
    add_change(*cdc, context, "resume", "Go on where a paused stream ended", "look with `keyshift cdc status`",
               catalog::resume_capture);
    add_recover(*cdc, context);
    add_accept_partitions(*cdc, context);
}

} // namespace keyshift::daemon
