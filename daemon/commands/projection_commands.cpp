#include "daemon/commands/commands.hpp"

#include "core/json.hpp"
#include "daemon/commands/definition_file.hpp"
#include "daemon/commands/verify_sample.hpp"
#include "daemon/wait.hpp"
#include "projections/projections.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/core.h>

#include <fstream>
#include <sstream>

namespace keyshift::daemon {

namespace {

using Json = nlohmann::json;

struct CreateOptions {
    projections::CreateRequest request;
    std::string file;
};

void wait_for_backfill(CommandContext& context, pg::Connection& catalog, const std::string& name)
{
    Progress progress;
    Json shown;
    const WaitResult ended = wait_until(context, [&] {
        shown = projections::show(catalog, name);
        const std::string state = shown["state"];
        progress.show(state == "live" ? 1 : shown.value("backfill_done", 0.0),
                      fmt::format("{}: {}, {} rows", name, state, shown["rows"].dump()));
        return state == "live" || state == "failed";
    });
    progress.finish();
    if (ended != WaitResult::reached) {
        note("the backfill goes on; look with `keyshift projection show " + name + "`");
        context.status = exit_status_of(ended);
    } else if (shown["state"] == "failed") {
        throw FatalError({"building projection " + name, shown.value("error", Json()).dump(),
                          "`keyshift projection show " + name + "` has the details."});
    } else {
        context.print(shown);
    }
}

void create(CommandContext& context, CreateOptions& options)
{
    if (options.request.sql.empty() == options.file.empty()) {
        throw Error(ErrorKind::usage, {"projection create", "give the definition by --sql or by --file, one of them",
                                       "--sql 'SELECT user_id, ... FROM interactions'"});
    }
    if (!options.file.empty()) {
        options.request.sql = read_definition("projection create", options.file);
    }
    options.request.dry_run = context.dry_run;
    options.request.forms = context.config().projection.forms;
    pg::Connection catalog = context.catalog();
    const Json made = projections::create(catalog, options.request);
    if (!context.wait || context.dry_run) {
        context.print(made);
    }
    if (context.dry_run) {
        return;
    }
    if (!daemon_runs(catalog)) {
        note(fmt::format("queued as {}; nothing happens until `keyshift run`", options.request.name));
    }
    if (context.wait) {
        wait_for_backfill(context, catalog, options.request.name);
    }
}

void verify(CommandContext& context, const std::string& name)
{
    pg::Connection catalog = context.catalog();
    const Json result = projections::verify(catalog, name, {});
    context.print(result);
    if (result["missing"].get<long>() + result["extra"].get<long>() + result["different"].get<long>() +
            result["rejected"].get<long>() >
        0) {
        note("it differs from its definition");
        context.status = exit_status(ErrorKind::differs);
    }
}

void repair(CommandContext& context, const std::string& name)
{
    pg::Connection catalog = context.catalog();
    if (context.dry_run) {
        verify(context, name);
        context.status = 0;
        return;
    }
    const Json result = projections::repair(catalog, name, {});
    context.print(result);
    if (result["refused"].get<long>() > 0) {
        note("some rows cannot be shown; `keyshift projection verify " + name + "` counts them until they change");
        context.status = exit_status(ErrorKind::differs);
    }
}

void add_create(CLI::App& projection, CommandContext& context)
{
    const auto options = std::make_shared<CreateOptions>();
    CLI::App* verb = add_verb(
        projection, "create", "Keep a table keyed by another column",
        "keyshift projection create user_interactions --key user_id --sql 'SELECT user_id, interaction_id, post_id FROM interactions'");
    verb->add_option("name", options->request.name, "Name of the projection and of its view")->required();
    verb->add_option("--key", options->request.key, "column[,column] it is sharded by")->required()->delimiter(',');
    verb->add_option("--sql", options->request.sql, "One SELECT over captured tables");
    verb->add_option("--file", options->file, "A file with the SELECT");
    verb->add_option("--buckets", options->request.buckets, "Hash slices, a power of two")->capture_default_str();
    verb->add_flag("--apply", options->request.apply, "Also run the ALTERs that it needs");
    verb->add_flag("--skip-null", options->request.skip_null, "Leave rows with a NULL key out");
    takes_long(changes(verb, context), context)->callback([&context, options] { create(context, *options); });
}

CLI::App* add_named(CLI::App& projection, CommandContext& context, const std::string& name, const std::string& help,
                    std::function<void(CommandContext&, const std::string&)> run)
{
    const auto which = std::make_shared<std::string>();
    CLI::App* verb = add_verb(projection, name, help, "keyshift projection " + name + " user_interactions");
    verb->add_option("name", *which, "Projection")->required();
    verb->callback([&context, which, run = std::move(run)] { run(context, *which); });
    return verb;
}

using Change = void (*)(pg::Connection&, const std::string&);

/// A verb that only changes a projection's row.
void add_change(CLI::App& projection, CommandContext& context, const std::string& name, const std::string& help,
                const char* done, Change change)
{
    changes(add_named(projection, context, name, help,
                      [change, done](CommandContext& common, const std::string& which) {
                          pg::Connection catalog = common.catalog();
                          static_cast<void>(projections::show(catalog, which));
                          if (!common.dry_run) {
                              change(catalog, which);
                          }
                          common.print({{"projection", which},
                                        {"done", common.dry_run ? Json("nothing: a dry run") : Json(done)}});
                          common.mention_missing_daemon(catalog, "queued as " + which);
                      }),
            context);
}

void add_verify(CLI::App& projection, CommandContext& context)
{
    struct Sampled {
        bool for_ever = false;
        double rate = 10'000;
    };
    const auto sampled = std::make_shared<Sampled>();
    CLI::App* verb =
        add_named(projection, context, "verify", "Compare with its definition over all nodes; exit 6 where it differs",
                  [sampled](CommandContext& common, const std::string& name) {
                      sampled->for_ever ? sample_projection(common, name, sampled->rate) : verify(common, name);
                  });
    verb->add_flag("--sample", sampled->for_ever, "Again and again, a line of JSON each, until Ctrl-C or SIGTERM");
    verb->add_option("--rate", sampled->rate, "With --sample: rows a second that are compared in the mean")
        ->capture_default_str();
}

} // namespace

std::string read_definition(const std::string& verb, const std::string& file)
{
    std::ifstream in(file);
    std::ostringstream text;
    text << in.rdbuf();
    if (!in) {
        throw Error(ErrorKind::usage,
                    {verb + " --file " + file, "the file cannot be read", "Name a file with one SELECT."});
    }
    return text.str();
}

void add_projection_commands(CLI::App& app, CommandContext& context)
{
    CLI::App* projection =
        add_verb(app, "projection", "Tables keyed by something else, kept from the topics", "keyshift projection list");
    projection->require_subcommand(1);
    add_create(*projection, context);
    add_verb(*projection, "list", "All projections", "keyshift projection list")->callback([&context] {
        pg::Connection catalog = context.catalog();
        context.print(projections::list(catalog));
    });
    add_named(*projection, context, "show", "State, lag and rows of one",
              [](CommandContext& common, const std::string& name) {
                  pg::Connection catalog = common.catalog();
                  common.print(projections::show(catalog, name));
              });
    add_verify(*projection, context);
    changes(add_named(*projection, context, "repair",
                      "Write the rows that verify finds anew; exit 6 where one cannot be", repair),
            context);
    add_change(*projection, context, "pause", "Stop applying; the topics keep what comes", "paused",
               projections::pause);
    add_change(*projection, context, "resume", "Go on applying", "resumed", projections::resume);
    add_projection_life_commands(*projection, context);
    CLI::App* drop =
        add_named(*projection, context, "drop", "Remove it and all that it left on the nodes",
                  [](CommandContext& common, const std::string& name) {
                      pg::Connection catalog = common.catalog();
                      static_cast<void>(projections::show(catalog, name));
                      common.confirm("Drop projection " + name + "?");
                      if (!common.dry_run) {
                          projections::drop(catalog, name);
                      }
                      common.print({{"projection", name}, {"done", common.dry_run ? "nothing: a dry run" : "dropped"}});
                  });
    destroys(drop, context);
}

} // namespace keyshift::daemon
