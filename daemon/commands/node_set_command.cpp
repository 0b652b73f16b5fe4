#include "daemon/commands/commands.hpp"

#include "catalog/operations/node_options.hpp"
#include "core/error.hpp"
#include "daemon/config_keys.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>

namespace keyshift::daemon {

void add_node_set_command(CLI::App& node, CommandContext& context)
{
    struct Request {
        catalog::NodeOptions options;
        double capacity = 0;
        std::string disk_limit;
    };
    const auto request = std::make_shared<Request>();
    CLI::App* verb = add_verb(node, "set", "What the planner is told of a node",
                              "keyshift node set n2 --capacity 2 --disk-limit 500GiB --pin users/17");
    verb->add_option("name", request->options.node, "Name of the node")->required();
    const auto* capacity = verb->add_option("--capacity", request->capacity, "Its share beside the others' (1)");
    verb->add_option("--disk-limit", request->disk_limit, "What its database may grow to; 0: not known");
    verb->add_option("--pin", request->options.pin, "GROUP/BUCKET: the planner brings it here and keeps it")
        ->delimiter(',');
    verb->add_option("--unpin", request->options.unpin, "GROUP/BUCKET: pinned no more")->delimiter(',');
    changes(verb, context)->callback([&context, request, capacity] {
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
