#include "daemon/commands/commands.hpp"

#include "catalog/operations.hpp"
#include "core/json.hpp"
#include "daemon/wait.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/core.h>

namespace keyshift::daemon {

namespace {

/// Runs work that the command does itself, with its progress shown. nullopt: it was stopped, and has taken back what it made.
template <typename Work>
std::optional<nlohmann::json> online(CommandContext& context, Work work)
{
    const CommandStop stop(context);
    Progress progress;
    const catalog::OnlineWork seen{[&progress](double part, const std::string& text) { progress.show(part, text); },
                                   stop.token()};
    try {
        nlohmann::json done = work(seen);
        progress.finish();
        return done;
    } catch (const Error&) {
        progress.finish();
        if (stop.status() == 0) {
            throw;
        }
        note("stopped; nothing was changed");
        context.status = stop.status();
        return std::nullopt;
    }
}

void add_distribute(CLI::App& table, CommandContext& context)
{
    const auto request = std::make_shared<catalog::Distribute>();
    CLI::App* verb = add_verb(table, "distribute", "Shard a table by a key",
                              "keyshift table distribute posts --key user_id --with users");
    verb->add_option("table", request->table, "Table to distribute")->required();
    verb->add_option("--key", request->key, "Shard key: column[,column]")->required()->delimiter(',');
    verb->add_option("--buckets", request->buckets, "Hash slices, a power of two")->capture_default_str();
    verb->add_option("--with", request->with, "Co-locate with this table");
    verb->add_flag("--offline", request->offline,
                   "In one transaction, under a lock; else while it is read and written");
    verb->add_flag("--strict", request->strict, "Refuse sessions that go by an old map of its buckets, or name none");
    verb->add_flag("--wait", context.wait, "As always: the command does the work itself, and ends when it is done");
    verb->add_option("--timeout", context.timeout, "Take back and give up after 30s, 5min, ... (exit 124)");
    changes(verb, context)->callback([&context, request] {
        request->dry_run = context.dry_run;
        pg::Connection catalog = context.catalog();
        const auto distributed = online(
            context, [&](const catalog::OnlineWork& work) { return catalog::distribute(catalog, *request, work); });
        if (!distributed) {
            return;
        }
        context.print(*distributed);
        if (!request->strict) {
            note(fmt::format(
                "recommended: `keyshift table strict {}`, so that reads and writes with an old map raise instead of "
                "finding nothing",
                request->table));
        }
        if (!context.dry_run) {
            context.mention_missing_daemon(catalog, "its rows are queued for Kafka");
        }
    });
}

void add_undistribute(CLI::App& table, CommandContext& context)
{
    const auto name = std::make_shared<std::string>();
    CLI::App* verb = add_verb(table, "undistribute", "Bring a table together again on the node that has its buckets",
                              "keyshift table undistribute posts --yes");
    verb->add_option("table", *name, "Distributed table")->required();
    verb->add_flag("--wait", context.wait, "As always: the command does the work itself, and ends when it is done");
    verb->add_option("--timeout", context.timeout, "Take back and give up after 30s, 5min, ... (exit 124)");
    destroys(verb, context)->callback([&context, name] {
        pg::Connection catalog = context.catalog();
        if (!context.dry_run) {
            context.confirm(fmt::format("Bring {} together on one node?", *name));
        }
        const auto done = online(context, [&](const catalog::OnlineWork& work) {
            return catalog::undistribute(catalog, *name, context.dry_run, work);
        });
        if (done) {
            context.print(*done);
        }
    });
}

void add_strict(CLI::App& table, CommandContext& context)
{
    struct Options {
        std::string table;
        bool off = false;
    };
    const auto options = std::make_shared<Options>();
    CLI::App* verb =
        add_verb(table, "strict", "Refuse sessions that go by an old map of a table's buckets, or name none",
                 "keyshift table strict posts");
    verb->add_option("table", options->table, "Distributed table")->required();
    verb->add_flag("--off", options->off, "No longer");
    changes(verb, context)->callback([&context, options] {
        pg::Connection catalog = context.catalog();
        context.print(catalog::set_strict(catalog, options->table, !options->off, context.dry_run));
    });
}

} // namespace

void add_table_commands(CLI::App& app, CommandContext& context)
{
    CLI::App* table = add_verb(app, "table", "Captured and distributed tables", "keyshift table list");
    table->require_subcommand(1);
    add_capture_command(*table, context);
    add_distribute(*table, context);
    add_undistribute(*table, context);
    add_strict(*table, context);
    add_reference_command(*table, context);
    add_verb(*table, "list", "All captured tables", "keyshift table list -o json")->callback([&context] {
        pg::Connection catalog = context.catalog();
        context.print(catalog::list_tables(catalog), {"table", "kind", "group", "key", "buckets", "strict", "node"});
    });
    const auto name = std::make_shared<std::string>();
    CLI::App* show = add_verb(*table, "show", "One table and where its buckets are", "keyshift table show posts");
    show->add_option("table", *name, "Table")->required();
    show->callback([&context, name] {
        pg::Connection catalog = context.catalog();
        context.print(catalog::show_table(catalog, *name));
    });
}

} // namespace keyshift::daemon
