#include "daemon/commands/commands.hpp"

#include "catalog/operations.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>

namespace keyshift::daemon {

namespace {

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
        if (!context.dry_run) {
            context.mention_missing_daemon(catalog, "its rows are queued for Kafka");
        }
    });
}

} // namespace

void add_table_commands(CLI::App& app, CommandContext& context)
{
    CLI::App* table = add_verb(app, "table", "Captured and distributed tables", "keyshift table list");
    table->require_subcommand(1);
    add_capture_command(*table, context);
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
