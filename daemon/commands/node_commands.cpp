#include "daemon/commands/commands.hpp"

#include "catalog/operations.hpp"
#include "core/json.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

namespace keyshift::daemon {

namespace {

void add_add(CLI::App& node, CommandContext& context)
{
    const auto request = std::make_shared<catalog::AddNode>();
    CLI::App* verb = add_verb(node, "add", "Make a PostgreSQL database a node",
                              "keyshift node add n2 --dsn 'host=127.0.0.1 port=5434 dbname=app'");
    verb->add_option("name", request->name, "Name of the node")->required();
    verb->add_option("--dsn", request->dsn, "libpq conninfo or URI, without password")->required();
    verb->add_option("--password-file", request->password_file, "File with the password, mode 0600");
    changes(verb, context)->callback([&context, request] {
        request->dry_run = context.dry_run;
        pg::Connection catalog = context.catalog();
        context.print(catalog::add_node(catalog, *request));
        context.next_step(
            catalog::list_nodes(catalog).size() > 1
                ? "keyshift reshard plan"
                : "keyshift doctor --plan TABLE=COLUMN,...; keyshift table distribute TABLE --key COLUMN");
    });
}

} // namespace

void add_node_commands(CLI::App& app, CommandContext& context)
{
    CLI::App* node = add_verb(app, "node", "PostgreSQL databases that hold shards", "keyshift node list");
    node->require_subcommand(1);
    add_add(*node, context);
    add_verb(*node, "list", "All nodes", "keyshift node list -o json")->callback([&context] {
        pg::Connection catalog = context.catalog();
        context.print(catalog::list_nodes(catalog),
                      {"node", "state", "host", "port", "dbname", "slot", "buckets", "groups"});
    });
    add_drain_command(*node, context);
    add_node_set_command(*node, context);
    const auto name = std::make_shared<std::string>();
    CLI::App* show = add_verb(*node, "show", "One node and what it owns", "keyshift node show n1");
    show->add_option("name", *name, "Name of the node")->required();
    show->callback([&context, name] {
        pg::Connection catalog = context.catalog();
        context.print(catalog::show_node(catalog, *name));
    });
    CLI::App* remove =
        add_verb(*node, "remove", "Take a node that owns nothing out of the cluster", "keyshift node remove n3 --yes");
    remove->add_option("name", *name, "Name of the node")->required();
    destroys(remove, context)->callback([&context, name] {
        context.confirm("Remove node " + *name + "?");
        pg::Connection catalog = context.catalog();
        context.print(catalog::remove_node(catalog, *name, context.dry_run));
    });
}

} // namespace keyshift::daemon
