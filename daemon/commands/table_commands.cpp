#include "daemon/commands/commands.hpp"

#include "catalog/operations.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>

namespace keyshift::daemon {

namespace {

void say_what_follows(const CommandContext& context, pg::Connection& catalog)
{
    if (!context.dry_run) {
        context.mention_missing_daemon(catalog, "its rows are queued for Kafka");
    }
}

void add_distribute(CLI::App& table, CommandContext& context)
{
    const auto request = std::make_shared<catalog::Distribute>();
    CLI::App* verb = add_verb(table, "distribute", "Shard a table by a key",
                              "keyshift table distribute posts --key user_id --with users --offline");
    verb->add_option("table", request->table, "Table to distribute")->required();
    verb->add_option("--key", request->key, "Shard key: column[,column]")->required()->delimiter(',');
    verb->add_option("--buckets", request->buckets, "Hash slices, a power of two")->capture_default_str();
    verb->add_option("--with", request->with, "Co-locate with this table");
    verb->add_flag("--offline", request->offline, "In one transaction, under a lock");
    changes(verb, context)->callback([&context, request] {
        request->dry_run = context.dry_run;
        pg::Connection catalog = context.catalog();
        context.print(catalog::distribute(catalog, *request));
        say_what_follows(context, catalog);
    });
}

void add_capture(CLI::App& table, CommandContext& context)
{
    struct Options {
        std::vector<std::string> tables;
        bool all = false;
        std::string node;
    };
    const auto options = std::make_shared<Options>();
    CLI::App* verb = add_verb(table, "capture", "Stream a table's changes to Kafka; it stays where it is",
                              "keyshift table capture audit_log");
    verb->add_option("tables", options->tables, "Tables to capture");
    verb->add_flag("--all", options->all, "Every table that can be captured");
    verb->add_option("--node", options->node, "The node, where several have the name");
    changes(verb, context)->callback([&context, options] {
        if (options->tables.empty() == !options->all) {
            throw Error(ErrorKind::usage,
                        {"table capture", "name tables, or say --all, not both", "keyshift table capture audit_log"});
        }
        pg::Connection catalog = context.catalog();
        context.print(catalog::capture(catalog, options->tables, options->all,
                                       options->node.empty() ? std::nullopt : std::optional(options->node),
                                       context.dry_run));
        say_what_follows(context, catalog);
    });
}

} // namespace

void add_table_commands(CLI::App& app, CommandContext& context)
{
    CLI::App* table = add_verb(app, "table", "Captured and distributed tables", "keyshift table list");
    table->require_subcommand(1);
    add_capture(*table, context);
    add_distribute(*table, context);
    add_verb(*table, "list", "All captured tables", "keyshift table list -o json")->callback([&context] {
        pg::Connection catalog = context.catalog();
        context.print(catalog::list_tables(catalog), {"table", "kind", "group", "key", "buckets", "node"});
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
