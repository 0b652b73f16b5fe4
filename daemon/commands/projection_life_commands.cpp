#include "daemon/commands/commands.hpp"

#include "core/json.hpp"
#include "daemon/commands/definition_file.hpp"
#include "daemon/config_keys.hpp"
#include "daemon/wait.hpp"
#include "projections/projections.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/core.h>

namespace keyshift::daemon {

namespace {

using Json = nlohmann::json;

struct Asked {
    std::string name;
    std::vector<std::string> key;
    std::int64_t records = 100'000;
};
struct Anew {
    projections::RebuildRequest request;
    std::string file;
    std::string keep = "1h";
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
        return shown["generation"].get<int>() == generation || (!rebuild.is_null() && rebuild["state"] == "failed");
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

void follow_generation(CommandContext& context, pg::Connection& catalog, const std::string& name, const Json& made)
{
    context.print(made);
    if (context.dry_run) {
        return;
    }
    context.mention_missing_daemon(catalog, "queued as " + name);
    if (context.wait) {
        wait_for_generation(context, catalog, name, made["generation"].get<int>());
    }
}

void rebuild(CommandContext& context, Anew& anew)
{
    projections::RebuildRequest& request = anew.request;
    if (!request.sql.empty() && !anew.file.empty()) {
        throw Error(ErrorKind::usage, {"projection rebuild", "the definition is given by --sql and by --file",
                                       "Give one of them, or none to keep the definition."});
    }
    if (!anew.file.empty()) {
        request.sql = read_definition("projection rebuild", anew.file);
    }
    const auto keep = parse_duration(anew.keep);
    if (!keep) {
        throw Error(ErrorKind::usage, {"projection rebuild --keep " + anew.keep, "this is no duration",
                                       "Say 30m, 2h, or 0s for no way back."});
    }
    request.keep_seconds = std::chrono::duration_cast<std::chrono::seconds>(*keep).count();
    request.dry_run = context.dry_run;
    request.forms = context.config().projection.forms;
    pg::Connection catalog = context.catalog();
    follow_generation(context, catalog, request.name, projections::rebuild(catalog, request));
}

void rollback(CommandContext& context, const std::string& name)
{
    pg::Connection catalog = context.catalog();
    follow_generation(context, catalog, name, projections::rollback(catalog, name, context.dry_run));
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
    const auto anew = std::make_shared<Anew>();
    CLI::App* again = add_verb(
        projection, "rebuild", "Build a new generation, or another definition, beside it, which then takes its place",
        "keyshift projection rebuild user_interactions --sql 'SELECT user_id, interaction_id FROM interactions' --wait");
    again->add_option("name", anew->request.name, "Projection")->required();
    again->add_option("--sql", anew->request.sql, "Another definition; without it the same");
    again->add_option("--file", anew->file, "A file with the SELECT");
    again->add_option("--key", anew->request.key, "column[,column], where it is another one")->delimiter(',');
    again->add_option("--keep", anew->keep, "How long the generation before is kept up to date, to go back to")
        ->capture_default_str();
    again->add_flag("--apply", anew->request.apply, "Also run the ALTERs that another definition needs");
    again->add_flag("--skip-null", anew->request.skip_null, "Leave rows with a NULL key out");
    takes_long(changes(again, context), context)->callback([&context, anew] { rebuild(context, *anew); });
    const auto back = std::make_shared<std::string>();
    CLI::App* before =
        add_verb(projection, "rollback", "Go back to the generation before the last rebuild, while it is kept",
                 "keyshift projection rollback user_interactions --wait");
    before->add_option("name", *back, "Projection")->required();
    takes_long(changes(before, context), context)->callback([&context, back] { rollback(context, *back); });
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
