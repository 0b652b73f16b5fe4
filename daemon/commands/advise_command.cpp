#include "core/size_words.hpp"
#include "daemon/commands/commands.hpp"

#include "advisor/advisor.hpp"
#include "core/json.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/core.h>

#include <algorithm>

namespace keyshift::daemon {

namespace {

using Json = nlohmann::json;

struct AdviseOptions {
    std::string dsn;
    std::string password_file;
    std::string queries;
    int nodes = 0;
};

std::string percent(const Json& share)
{
    return share.is_null() ? "-" : fmt::format("{:.1f} %", 100 * share.get<double>());
}

void print_verdict(const Json& advice)
{
    const Json& verdict = advice["verdict"];
    fmt::print("Shard this database? {}\n", verdict["shard"] == true ? "Yes." : "No: one machine is enough.");
    for (const Json& why : verdict["why"]) {
        fmt::print("  - {}\n", why.get<std::string>());
    }
    if (verdict["nodes"].get<int>() > 1) {
        const double each = verdict["bytes"].get<double>() / verdict["nodes"].get<double>();
        fmt::print("  - nodes: {}, about {} each now, with reference tables and projections beside that\n",
                   verdict["nodes"].dump(), size_words(each));
    }
}

void print_workload(const Json& workload)
{
    if (workload["from"].is_null()) {
        fmt::print("\nNo statements are known, so keys come from sizes, foreign keys and names alone.\n  - {}\n",
                   workload["missing"].get<std::string>());
        return;
    }
    fmt::print(
        "\n{}: {} statements, {:.0f} calls; as advised below {} ask one shard, {} the shard of each key in a list, {} every shard\n",
        workload["from"].get<std::string>(), workload["statements"].dump(), workload["calls"].get<double>(),
        percent(workload["one_shard"]), percent(workload["shard_of_each_key"]), percent(workload["every_shard"]));
    if (workload["hidden_calls"] != 0) {
        fmt::print(
            "  - {:.0f} calls are of roles whose statements this one may not see: GRANT pg_read_all_stats shows them\n",
            workload["hidden_calls"].get<double>());
    }
    constexpr std::size_t kShown = 20;
    const Json& all = workload["unread"];
    if (all.size() > kShown) {
        fmt::print("  - {} statements were not read, the first {} below (-o json has all)\n", all.size(), kShown);
    }
    for (std::size_t at = 0; at < std::min(all.size(), kShown); ++at) {
        const Json& unread = all[at];
        fmt::print("  - not read ({:.0f} calls): {}: {}\n", unread["calls"].get<double>(),
                   unread["why"].get<std::string>(), unread["query"].get<std::string>());
    }
}

void print_tables(const CommandContext& context, const Json& advice)
{
    Json rows = Json::array();
    for (const Json& table : advice["tables"]) {
        Json row = table;
        row["size"] = size_words(table["bytes"].get<double>());
        row["one shard"] = percent(table["one_shard"]);
        row["calls"] = fmt::format("{:.0f}", table["calls"].get<double>());
        rows.push_back(std::move(row));
    }
    fmt::print("\n{}\n", advice["verdict"]["shard"] == true ? "Tables:" : "Were it to be sharded:");
    context.print(rows, {"table", "place", "key", "with", "rows", "size", "calls", "one shard", "why"});
}

void print_crossings(const Json& advice)
{
    if (advice["cross_shard"].empty()) {
        return;
    }
    fmt::print("\nQueries that would ask every shard:\n");
    for (const Json& crossing : advice["cross_shard"]) {
        fmt::print("  {} of the calls: {}\n    why:  {}\n    next: {}\n", percent(crossing["share"]),
                   crossing["query"].get<std::string>(), crossing["why"].get<std::string>(),
                   crossing["next"].get<std::string>());
    }
}

void print_statements(const Json& advice)
{
    if (!advice["fixes"].empty()) {
        fmt::print(
            "\n-- SQL, on the database, before the commands; what each changes for the application is said above it:\n");
    }
    for (const Json& fix : advice["fixes"]) {
        fmt::print("-- {}: {}\n", fix["object"].get<std::string>(), fix["why"].get<std::string>());
        if (fix["fix"].is_string() && !fix["fix"].get<std::string>().empty()) {
            fmt::print("{}\n", fix["fix"].get<std::string>());
        }
    }
    if (!advice["commands"].empty()) {
        fmt::print("\n# commands, in this order:\n");
    }
    for (const Json& command : advice["commands"]) {
        fmt::print("{}\n", command.get<std::string>());
    }
}

void advise(CommandContext& context, const AdviseOptions& options)
{
    pg::ConnectionSettings settings;
    if (options.dsn.empty()) {
        settings = context.config().catalog("advise");
    } else {
        static_cast<void>(pg::address_of(options.dsn));
        settings = {"database", options.dsn, options.password_file, "advise"};
    }
    pg::Connection database(settings);
    advisor::AdviseRequest request;
    request.dsn = settings.conninfo;
    request.queries = options.queries.empty() ? std::nullopt : std::optional(options.queries);
    request.nodes = options.nodes == 0 ? std::nullopt : std::optional(options.nodes);
    const Json advice = advisor::advise(database, request);
    if (context.format() != OutputFormat::table) {
        context.print(advice);
        return;
    }
    print_verdict(advice);
    print_workload(advice["workload"]);
    print_tables(context, advice);
    print_crossings(advice);
    print_statements(advice);
}

} // namespace

void add_advise_command(CLI::App& app, CommandContext& context)
{
    const auto options = std::make_shared<AdviseOptions>();
    CLI::App* verb = add_verb(app, "advise", "Need a database be sharded, which tables, by which key; changes nothing",
                              "keyshift advise --dsn 'host=db1 dbname=app' --queries queries.sql");
    verb->add_option("--dsn", options->dsn, "The database to look at; else the catalog's");
    verb->add_option("--password-file", options->password_file, "With --dsn: the file that holds its password");
    verb->add_option("--queries", options->queries,
                     "Statements, each ended by ; with -- calls: N before it; else pg_stat_statements");
    verb->add_option("--nodes", options->nodes, "How many nodes are wanted")->check(CLI::Range(1, 10000));
    verb->callback([&context, options] { advise(context, *options); });
}

} // namespace keyshift::daemon
