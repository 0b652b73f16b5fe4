#include "daemon/commands/commands.hpp"

#include "catalog/operations/node_options.hpp"
#include "core/error.hpp"
#include "core/json.hpp"
#include "daemon/config_keys.hpp"
#include "resharder/commands/node_address.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

namespace keyshift::daemon {

namespace {

void set_address(CommandContext& context, resharder::NodeAddress& request, const std::string& node,
                 const std::string& password_file)
{
    request.node = node;
    request.dry_run = context.dry_run;
    if (!password_file.empty()) {
        request.password_file = password_file;
    }
    pg::Connection catalog = context.catalog();
    const nlohmann::json done = resharder::set_node_address(catalog, request);
    context.print(done);
    for (const auto& bucket : done["buckets"]) {
        if (bucket["state"] == "written" || bucket["state"] == "not_open" || bucket["state"] == "split_lost") {
            context.status = exit_status(ErrorKind::differs);
        }
    }
    context.next_step("keyshift doctor");
}

} // namespace

void add_node_set_command(CLI::App& node, CommandContext& context)
{
    struct Request {
        catalog::NodeOptions options;
        double capacity = 0;
        std::string disk_limit;
        resharder::NodeAddress address;
        std::string password_file;
    };
    const auto request = std::make_shared<Request>();
    CLI::App* verb = add_verb(node, "set", "Where a node is, and what the planner is told of it",
                              "keyshift node set n2 --capacity 2 --disk-limit 500GiB --pin users/17");
    verb->add_option("name", request->options.node, "Name of the node")->required();
    const auto* capacity = verb->add_option("--capacity", request->capacity, "Its share beside the others' (1)");
    verb->add_option("--disk-limit", request->disk_limit, "What its database may grow to; 0: not known");
    verb->add_option("--pin", request->options.pin, "GROUP/BUCKET: the planner brings it here and keeps it")
        ->delimiter(',');
    verb->add_option("--unpin", request->options.unpin, "GROUP/BUCKET: pinned no more")->delimiter(',');
    auto* dsn = verb->add_option("--dsn", request->address.dsn,
                                 "Where it is from now on: its server has moved, or its standby was promoted");
    verb->add_option("--password-file", request->password_file, "With --dsn: file with the password")->needs(dsn);
    verb->add_flag("--other-server", request->address.other_server,
                   "With --dsn: the database was copied to another server on purpose")
        ->needs(dsn);
    for (const char* option : {"--capacity", "--disk-limit", "--pin", "--unpin"}) {
        dsn->excludes(verb->get_option(option)); // one or the other: each is a change of its own
    }
    changes(verb, context)->callback([&context, request, capacity] {
        if (!request->address.dsn.empty()) {
            set_address(context, request->address, request->options.node, request->password_file);
            return;
        }
        if (capacity->count() > 0) {
            request->options.capacity = request->capacity;
        }
        if (!request->disk_limit.empty()) {
            const auto size = parse_size(request->disk_limit);
            if (!size) {
                throw Error(ErrorKind::usage,
                            {"--disk-limit " + request->disk_limit, "it is no size", "Write it as 500GiB."});
            }
            request->options.disk_limit = static_cast<std::int64_t>(*size);
        }
        request->options.dry_run = context.dry_run;
        pg::Connection catalog = context.catalog();
        context.print(catalog::set_node_options(catalog, request->options));
        context.next_step("keyshift reshard plan");
    });
}

} // namespace keyshift::daemon
