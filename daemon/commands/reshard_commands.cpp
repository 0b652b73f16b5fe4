#include "core/size_words.hpp"
#include "daemon/commands/commands.hpp"
#include "daemon/commands/follow_job.hpp"
#include "daemon/config_keys.hpp"

#include "core/backoff.hpp"
#include "core/json.hpp"
#include "resharder/resharder.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/core.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string_view>
#include <unistd.h>

namespace keyshift::daemon {

namespace {

using namespace std::chrono_literals;
using Json = nlohmann::json;

struct PlanOptions {
    resharder::PlanWish wish;
    std::string drain;
    std::string plan;
    std::string sample = "10s";

    /// The wish with what the configuration adds.
    resharder::PlanWish complete(const CommandContext& context) const
    {
        resharder::PlanWish whole = wish;
        whole.drain = drain.empty() ? std::nullopt : std::optional(drain);
        const auto time = parse_duration(sample);
        if (!time || time->count() <= 0) {
            throw Error(ErrorKind::usage, {"--sample " + sample, "it is no duration", "Write it as 10s or 1min."});
        }
        whole.sample = *time;
        whole.caps = {context.config().reshard.max_moves_per_node, context.config().reshard.max_moves};
        return whole;
    }
};

struct JobOptions {
    std::int64_t job = 0; ///< 0: the newest
    bool watch = false;

    std::optional<std::int64_t> wanted() const { return job == 0 ? std::nullopt : std::optional(job); }
};

const std::vector<std::string> kStatusColumns{"move", "bucket", "group", "donor", "recipient", "phase",
                                              "rows", "bytes",  "rate",  "left",  "lag",       "write_block"};

std::shared_ptr<PlanOptions> add_wish(CLI::App& verb)
{
    const auto options = std::make_shared<PlanOptions>();
    verb.add_option("--to", options->wish.to, "Only to these nodes")->delimiter(',');
    verb.add_option("--buckets", options->wish.buckets, "Only these buckets")->delimiter(',');
    verb.add_option("--group", options->wish.group, "Of --buckets: of this group alone");
    verb.add_option("--drain", options->drain, "Move everything off this node");
    verb.add_option("--by", options->wish.by,
                    "Balance by count, size, rows or load (rows written, counted for --sample)")
        ->check(CLI::IsMember({"count", "size", "rows", "load"}))
        ->capture_default_str();
    verb.add_option("--threshold", options->wish.threshold,
                    "By size, rows and load: leave nodes that differ by less than this part of the mean")
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
    verb.add_option("--improvement", options->wish.improvement,
                    "By size, rows and load: what a move must gain, as a part of what one so large could")
        ->check(CLI::Range(0.0, 1.0))
        ->capture_default_str();
    verb.add_option("--sample", options->sample, "By load: how long rows written are counted")->capture_default_str();
    return options;
}

/// The columns of a table, with units.
Json for_people(const Json& move)
{
    Json line = move;
    const auto set = [&](const char* column, const char* from, const std::function<std::string(double)>& words) {
        line[column] = move[from].is_null() ? Json() : Json(words(move[from].get<double>()));
    };
    set("bytes", "bytes", size_words);
    set("rate", "bytes_per_second", [](double value) { return size_words(value) + "/s"; });
    set("left", "seconds_left", duration_words);
    set("lag", "lag_bytes", size_words);
    set("write_block", "write_block_ms", [](double value) { return fmt::format("{:.1f} ms", value); });
    return line;
}

/// A frame of --watch takes the place of the one before.
void clear_screen(const CommandContext& context)
{
    const char* kind = std::getenv("TERM");
    if (context.format() == OutputFormat::table && isatty(STDOUT_FILENO) != 0 && kind != nullptr &&
        std::string_view(kind) != "dumb") {
        fmt::print("\033[H\033[2J");
    }
}

void print_status(const CommandContext& context, const Json& status)
{
    if (context.format() != OutputFormat::table) {
        context.print(status);
        return;
    }
    fmt::print("job {}: {}, {} of {} moved\n", status["job"].dump(), status["state"].get<std::string>(),
               status["moved"].dump(), status["total"].dump());
    if (status.contains("error") && status["error"].is_object()) {
        fmt::print("error: {}\n", status["error"].dump());
    }
    Json unfinished = Json::array();
    int waiting = 0;
    for (const Json& move : status["moves"]) {
        waiting += move["state"] == "planned" && move["waiting_for"].is_null() ? 1 : 0;
        if (move["state"] != "done" && (move["state"] != "planned" || !move["waiting_for"].is_null())) {
            unfinished.push_back(for_people(move));
        }
    }
    context.print(unfinished, kStatusColumns);
    for (const Json& move : status["moves"]) {
        if (move["waiting_for"].is_string() && move["state"] != "done") {
            fmt::print("move {} waits for {}\n", move["move"].dump(), move["waiting_for"].get<std::string>());
        }
    }
    if (waiting > 0) {
        fmt::print("{} more wait for their turn\n", waiting);
    }
}

void start(CommandContext& context, const PlanOptions& options)
{
    pg::Connection catalog = context.catalog();
    if (context.dry_run) {
        print_plan(context, resharder::plan(catalog, options.complete(context)));
        return;
    }
    const std::int64_t job = resharder::start(catalog, options.complete(context),
                                              options.plan.empty() ? std::nullopt : std::optional(options.plan));
    if (job == 0) {
        note("nothing to do: the buckets are where they should be");
        return;
    }
    follow_job(context, catalog, job);
}

void show_status(CommandContext& context, const JobOptions& options)
{
    pg::Connection catalog = context.catalog();
    if (options.watch) {
        watch_interrupt();
    }
    while (true) {
        const Json status = resharder::status(catalog, options.wanted());
        if (options.watch) {
            clear_screen(context);
        }
        print_status(context, status);
        std::fflush(stdout);
        const bool ended = status["state"] != "running" && status["state"] != "paused";
        if (!options.watch || ended) {
            return;
        }
        sleep_for(1s, {});
        if (interrupted()) {
            note("the job goes on");
            context.status = 130;
            return;
        }
    }
}

void add_plan_and_start(CLI::App& reshard, CommandContext& context)
{
    CLI::App* plan = add_verb(reshard, "plan", "What would move, bytes, time, why; changes nothing",
                              "keyshift reshard plan --drain n1");
    const auto wish = add_wish(*plan);
    plan->callback([&context, wish] {
        pg::Connection catalog = context.catalog();
        print_plan(context, resharder::plan(catalog, wish->complete(context)));
    });
    CLI::App* verb = add_verb(reshard, "start", "Run the plan", "keyshift reshard start --wait");
    const auto started = add_wish(*verb);
    verb->add_option("--plan", started->plan, "Refuse when the placement has changed since this plan");
    takes_long(changes(verb, context), context)->callback([&context, started] { start(context, *started); });
}

void add_rollback(CLI::App& reshard, CommandContext& context)
{
    const auto options = std::make_shared<JobOptions>();
    CLI::App* verb =
        add_verb(reshard, "rollback",
                 "Move the buckets of a job that has ended back to where they came from, as a job of its own",
                 "keyshift reshard rollback 1 --wait");
    verb->add_option("job", options->job, "Number of the job to take back")->required();
    takes_long(changes(verb, context), context)->callback([&context, options] {
        pg::Connection catalog = context.catalog();
        const Json planned = resharder::rollback(catalog, options->job, context.dry_run);
        if (context.dry_run) {
            print_plan(context, planned);
        } else {
            follow_job(context, catalog, planned.at("job").get<std::int64_t>());
        }
    });
}

/// A verb that takes a job; `required`: it wants to be told which.
CLI::App* add_job_verb(CLI::App& reshard, CommandContext& context, const std::string& name, const std::string& help,
                       bool required, std::function<void(CommandContext&, pg::Connection&, const JobOptions&)> run)
{
    const auto options = std::make_shared<JobOptions>();
    CLI::App* verb = add_verb(reshard, name, help, "keyshift reshard " + name + " 1");
    auto* job = verb->add_option("job", options->job,
                                 required ? "Number of the job" : "Number of the job; the newest when left out");
    if (required) {
        job->required();
    }
    verb->callback([&context, options, run = std::move(run)] {
        pg::Connection catalog = context.catalog();
        run(context, catalog, *options);
    });
    return verb;
}

using Change = void (*)(pg::Connection&, std::int64_t);

/// A verb that tells the daemon what to do with a job.
void tell(CommandContext& context, pg::Connection& catalog, std::optional<std::int64_t> wanted, Change change,
          const char* done)
{
    const std::int64_t job = resharder::status(catalog, wanted).at("job").get<std::int64_t>();
    if (!context.dry_run) {
        change(catalog, job);
        context.mention_missing_daemon(catalog, fmt::format("queued as {}", job));
    }
    context.print({{"job", job}, {"wanted", context.dry_run ? "as before: a dry run" : done}});
    note(fmt::format("look with `keyshift reshard status {}`", job));
}

} // namespace

void add_reshard_commands(CLI::App& app, CommandContext& context)
{
    CLI::App* reshard = add_verb(app, "reshard", "Move buckets between nodes", "keyshift reshard plan");
    reshard->require_subcommand(1);
    add_plan_and_start(*reshard, context);
    add_verb(*reshard, "list", "All jobs", "keyshift reshard list")->callback([&context] {
        pg::Connection catalog = context.catalog();
        context.print(resharder::list(catalog), {"job", "state", "moved", "total", "drains", "takes_back",
                                                 "requested_by", "created_at", "finished_at"});
    });
    const auto options = std::make_shared<JobOptions>();
    CLI::App* status = add_verb(*reshard, "status", "A job and its moves", "keyshift reshard status --watch");
    status->add_option("job", options->job, "Number of the job; the newest when left out");
    status->add_flag("--watch", options->watch, "Again every second until the job ends");
    status->callback([&context, options] { show_status(context, *options); });
    changes(add_job_verb(*reshard, context, "pause", "Hold copies where they are and stop after the present step",
                         false,
                         [](CommandContext& common, pg::Connection& catalog, const JobOptions& job) {
                             tell(common, catalog, job.wanted(), resharder::pause, "pause");
                         }),
            context);
    changes(add_job_verb(*reshard, context, "resume", "Go on with a paused job", false,
                         [](CommandContext& common, pg::Connection& catalog, const JobOptions& job) {
                             tell(common, catalog, job.wanted(), resharder::resume, "run");
                         }),
            context);
    destroys(add_job_verb(*reshard, context, "cancel", "Take back every move that is not past its fence", true,
                          [](CommandContext& common, pg::Connection& catalog, const JobOptions& job) {
                              static_cast<void>(resharder::status(catalog, job.job));
                              common.confirm(fmt::format("Cancel job {}?", job.job));
                              tell(common, catalog, job.job, resharder::cancel, "cancel");
                          }),
             context);
    add_rollback(*reshard, context);
    add_split_commands(*reshard, context);
    add_job_verb(*reshard, context, "explain", "What each unfinished move waits for: pid, query, lock", false,
                 [](CommandContext& common, pg::Connection& catalog, const JobOptions& job) {
                     common.print(resharder::explain(catalog, job.wanted()));
                 });
    add_job_verb(*reshard, context, "verify",
                 "Compare donor and recipient, and nodes with the catalog; exit 6 where they differ", false,
                 [](CommandContext& common, pg::Connection& catalog, const JobOptions& job) {
                     const Json result = resharder::verify(catalog, job.wanted());
                     common.print(result);
                     if (result.value("differences", 0) != 0) {
                         common.status = exit_status(ErrorKind::differs);
                     }
                 });
}

} // namespace keyshift::daemon
