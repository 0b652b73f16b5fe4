#include "daemon/commands/commands.hpp"

#include "catalog/operations.hpp"
#include "core/json.hpp"
#include "daemon/config_keys.hpp"
#include "daemon/status_report.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/core.h>

namespace keyshift::daemon {

namespace {

using Json = nlohmann::json;

void print_findings(const CommandContext& context, const Json& findings)
{
    if (context.format() != OutputFormat::table) {
        context.print(findings);
        return;
    }
    if (findings.empty()) {
        fmt::print("nothing found\n");
    }
    for (const Json& finding : findings) {
        fmt::print("-- {}: {} on {}: {}\n", finding["severity"].get<std::string>(), finding["check"].get<std::string>(),
                   finding["object"].get<std::string>(), finding["why"].get<std::string>());
        if (finding.contains("fix") && finding["fix"].is_string() && !finding["fix"].get<std::string>().empty()) {
            const std::string fix = finding["fix"].get<std::string>();
            fmt::print("{}{}\n", fix, fix.ends_with(';') ? "" : ";");
        }
    }
}

void print_status(const CommandContext& context, const Json& report)
{
    if (context.format() != OutputFormat::table) {
        context.print(report);
        return;
    }
    const Json& daemon = report["daemon"];
    if (daemon["running"] == true) {
        fmt::print("daemon: version {}, pid {} on {}, http://{}/\n", daemon["version"].get<std::string>(),
                   daemon["pid"].dump(), daemon["host"].get<std::string>(), daemon["http"].get<std::string>());
    } else {
        fmt::print("daemon: none runs\n");
    }
    static const std::vector<std::pair<std::string, std::vector<std::string>>> kSections{
        {"nodes", {"node", "state", "host", "port", "dbname", "buckets"}},
        {"streams", {"node", "state", "confirmed_lsn", "lag_bytes", "lag_seconds", "retained_bytes", "error"}},
        {"tables", {"table", "kind", "group", "key", "buckets"}},
        {"references", {"table", "home", "node", "state", "lag_seconds", "conflicts", "error"}},
        {"jobs", {"job", "state", "moved", "total", "error"}},
        {"projections", {"name", "state", "lag_seconds", "rejections", "error"}}};
    for (const auto& [section, columns] : kSections) {
        if (!report[section].empty()) {
            fmt::print("\n{}:\n", section);
            context.print(report[section], columns);
        }
    }
}

/// "users=user_id,posts=user_id"
std::vector<std::pair<std::string, std::string>> parse_plan(const std::string& text)
{
    std::vector<std::pair<std::string, std::string>> plan;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find(',', begin), text.size());
        const std::string entry = text.substr(begin, end - begin);
        const std::size_t equals = entry.find('=');
        if (equals == std::string::npos || equals == 0 || equals + 1 == entry.size()) {
            throw Error(ErrorKind::usage, {"--plan " + text, "\"" + entry + "\" is not table=column",
                                           "Write it as users=user_id,posts=user_id."});
        }
        plan.emplace_back(entry.substr(0, equals), entry.substr(equals + 1));
        begin = end + 1;
    }
    return plan;
}

void doctor(CommandContext& context, const std::string& plan)
{
    pg::Connection catalog = plan.empty() ? context.catalog() : context.raw_catalog();
    const Json findings = catalog::doctor(catalog, parse_plan(plan));
    print_findings(context, findings);
    for (const Json& finding : findings) {
        if (finding["severity"] == "error") {
            context.status = exit_status(ErrorKind::refused);
        }
    }
    if (context.status != 0) {
        note("apply the statements above in this order, then run doctor again");
    }
}

void config_check(CommandContext& context)
{
    const LoadedConfig loaded = load_config(context.config_file, context.flags);
    Json problems = Json::array();
    for (const ConfigProblem& problem : loaded.problems) {
        problems.push_back({{"where", problem.where}, {"why", problem.why}, {"next", problem.next}});
    }
    if (context.format() != OutputFormat::table) {
        context.print(problems);
    } else if (problems.empty()) {
        fmt::print("{}: no problem found\n", loaded.file);
    }
    if (!problems.empty()) {
        for (const ConfigProblem& problem : loaded.problems) {
            print_error({problem.where, problem.why, problem.next});
        }
        context.status = exit_status(ErrorKind::configuration);
    }
}

void config_show(CommandContext& context)
{
    const LoadedConfig loaded = load_config(context.config_file, context.flags);
    Json rows = Json::array();
    for (const ConfigKey& key : config_keys()) {
        rows.push_back({{"key", key.name},
                        {"value", key.show(loaded.config)},
                        {"origin", loaded.origins.at(key.name)},
                        {"needs_restart", key.needs_restart}});
    }
    for (const auto& [name, value] : loaded.config.kafka) {
        const bool secret = name.find("password") != std::string::npos || name.find(".pem") != std::string::npos ||
                            name.find("secret") != std::string::npos ||
                            name.find("oauthbearer.config") != std::string::npos;
        rows.push_back({{"key", "kafka." + name},
                        {"value", secret ? "***" : value},
                        {"origin", loaded.origins.at("kafka." + name)},
                        {"needs_restart", true}});
    }
    context.print(rows, {"key", "value", "origin"});
}

void add_config(CLI::App& app, CommandContext& context)
{
    CLI::App* config = add_verb(app, "config", "Check or show the configuration", "keyshift config check");
    config->require_subcommand(1);
    add_verb(*config, "check", "Print every problem at once; exit 3 when there is one",
             "keyshift --config keyshift.toml config check")
        ->callback([&context] { config_check(context); });
    add_verb(*config, "show", "Value and origin of each key; secrets as ***", "keyshift config show -o json")
        ->callback([&context] { config_show(context); });
}

void add_route(CLI::App& app, CommandContext& context)
{
    struct Options {
        std::string table;
        std::vector<std::string> key;
    };
    CLI::App* route = add_verb(app, "route", "Bucket, node and epoch of a key",
                               "keyshift route users 123e4567-e89b-12d3-a456-426614174000");
    const auto options = std::make_shared<Options>();
    route->add_option("table", options->table, "Distributed table or projection")->required();
    route->add_option("key", options->key, "Shard key, one value a column")->required();
    route->callback([&context, options] {
        pg::Connection catalog = context.catalog();
        context.print(catalog::route(catalog, options->table, options->key));
    });
}

} // namespace

void add_setup_commands(CLI::App& app, CommandContext& context)
{
    CLI::App* init = add_verb(
        app, "init", "Make the catalog: schema keyshift in the catalog database; may be run again", "keyshift init");
    changes(init, context)->callback([&context] {
        const Config config = context.config();
        pg::Connection catalog = context.raw_catalog();
        const Json made = catalog::init(catalog, config.cluster_name(), config.cdc.topic_prefix, context.dry_run);
        context.print(made);
        for (const Json& warning : made.value("warnings", Json::array())) {
            note(warning.get<std::string>());
        }
        context.next_step("keyshift node add n1 --dsn 'host=... dbname=...'");
    });
    const auto node = std::make_shared<std::string>();
    CLI::App* deinit =
        add_verb(app, "deinit", "Remove every slot, publication, trigger, function and schema of Keyshift",
                 "keyshift deinit --yes");
    deinit->add_option("--node", *node, "Only this node");
    destroys(deinit, context)->callback([&context, node] {
        context.confirm("Remove Keyshift from " +
                        (node->empty() ? std::string("all nodes and the catalog") : "node " + *node) + "?");
        pg::Connection catalog = context.catalog();
        context.print(catalog::deinit(catalog, node->empty() ? std::nullopt : std::optional(*node), context.dry_run));
    });
    const auto plan = std::make_shared<std::string>();
    CLI::App* check = add_verb(app, "doctor", "What is wrong, with the SQL that mends it; exit 5 when something is",
                               "keyshift doctor --plan users=user_id,posts=user_id,interactions=post_id");
    check->add_option("--plan", *plan, "table=column,...: what these shard keys would break");
    check->callback([&context, plan] { doctor(context, *plan); });
    add_verb(app, "status", "Nodes, streams, jobs and projections at a glance", "keyshift status -o json")
        ->callback([&context] {
            pg::Connection catalog = context.catalog();
            print_status(context, status_report(catalog));
        });
    add_verb(app, "version", "Version of this program", "keyshift version -o json")->callback([&context] {
        if (context.format() == OutputFormat::table) {
            fmt::print("keyshift {}\n", KEYSHIFT_VERSION);
        } else {
            context.print({{"version", KEYSHIFT_VERSION}, {"catalog_version", catalog::kCatalogVersion}});
        }
    });
    add_config(app, context);
    add_route(app, context);
}

} // namespace keyshift::daemon
