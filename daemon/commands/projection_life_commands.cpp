#include "daemon/commands/commands.hpp"

#include "daemon/wait.hpp"
#include "projections/projections.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace keyshift::daemon {

namespace {

using Json = nlohmann::json;

struct Asked {
    std::string name;
    std::vector<std::string> key;
    std::int64_t records = 100'000;
};

/// Until the generation serves, or its building has failed.
void wait_for_generation(CommandContext& context, pg::Connection& catalog, const std::string& name, int generation)
{
    Progress progress;
    Json rebuild;
    const WaitResult ended = wait_until(context, [&] {
        const Json shown = projections::show(catalog, name);
        rebuild = shown.value("rebuild", Json());
        progress.show(rebuild.is_null() ? 1 : rebuild["backfill_done"].get<double>(),
                      fmt::format("{}: generation {} {}", name, generation,
                                  rebuild.is_null() ? "serves" : rebuild["state"].get<std::string>()));
        return shown["generation"].get<int>() >= generation || (!rebuild.is_null() && rebuild["state"] == "failed");
    });
    progress.finish();
    if (ended != WaitResult::reached) {
        note("it goes on; look with `keyshift projection show " + name + "`");
        context.status = exit_status_of(ended);
    } else if (!rebuild.is_null() && rebuild["state"] == "failed") {
        throw FatalError({fmt::format("rebuilding projection {}", name), rebuild["error"].value("why", ""),
                          rebuild["error"].value("next", "")});
    }
}

void rebuild(CommandContext& context, const Asked& asked)
{
    pg::Connection catalog = context.catalog();
    const Json made = projections::rebuild(catalog, asked.name, context.dry_run);
    context.print(made);
    if (context.dry_run) {
        return;
    }
    context.mention_missing_daemon(catalog, "queued as " + asked.name);
    if (context.wait) {
        wait_for_generation(context, catalog, asked.name, made["generation"].get<int>());
    }
}

void print_explanation(CommandContext& context, const Json& explained)
{
    if (context.format() != OutputFormat::table) {
        context.print(explained);
        return;
    }
    Json head = explained;
    const Json rows = head["rows"];
    const Json events = head["events"];
    head.erase("rows");
    head.erase("events");
    context.print(head);
    context.print(rows, {"primary_key", "live", "version", "made_by"});
    context.print(events, {"partition", "offset", "version", "primary_key", "change", "outcome"});
}

void explain(CommandContext& context, const Asked& asked)
{
    pg::Connection catalog = context.catalog();
    const Config config = context.config();
    print_explanation(context, projections::explain(catalog, asked.name, asked.key,
                                                    {config.kafka, config.cdc.topic_prefix, asked.records}, {}));
}

} // namespace

void add_projection_life_commands(CLI::App& projection, CommandContext& context)
{
    const auto anew = std::make_shared<Asked>();
    CLI::App* again = add_verb(projection, "rebuild", "Build a new generation beside it, which then takes its place",
                               "keyshift projection rebuild user_interactions --wait");
    again->add_option("name", anew->name, "Projection")->required();
    takes_long(changes(again, context), context)->callback([&context, anew] { rebuild(context, *anew); });
    const auto asked = std::make_shared<Asked>();
    CLI::App* why = add_verb(projection, "explain", "Which event made each row of a key, and why others lost",
                             "keyshift projection explain user_interactions 123e4567-e89b-12d3-a456-426614174000");
    why->add_option("name", asked->name, "Projection")->required();
    why->add_option("key", asked->key, "Value of each key column")->required();
    why->add_option("--records", asked->records, "Newest records of each partition that are looked through")
        ->capture_default_str();
    why->callback([&context, asked] { explain(context, *asked); });
}

} // namespace keyshift::daemon
