#include "daemon/commands/follow_job.hpp"
#include "core/size_words.hpp"

#include "core/json.hpp"
#include "daemon/wait.hpp"
#include "resharder/resharder.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace keyshift::daemon {

using Json = nlohmann::json;

namespace {

/// What each node has and gets. Stock PostgreSQL does not tell free disk space; where a limit is set it is compared.
void print_nodes(const CommandContext& context, const Json& plan)
{
    Json nodes = Json::array();
    for (Json node : plan["nodes"]) {
        node["arriving"] = size_words(node["arriving_bytes"].get<double>());
        node["holds"] = size_words(node["bytes"].get<double>());
        node["will_hold"] = size_words(node["bytes_after"].get<double>());
        node["disk"] = node["disk_limit"].is_null()
                           ? "not known"
                           : fmt::format("{} of {}{}", size_words(node["database_bytes"].get<double>()),
                                         size_words(node["disk_limit"].get<double>()),
                                         node["disk_short"] == true ? ": too little" : "");
        nodes.push_back(std::move(node));
    }
    context.print(nodes, {"node", "state", "buckets", "buckets_after", "holds", "will_hold", "arriving", "disk"});
}

} // namespace

void print_plan(const CommandContext& context, const Json& plan)
{
    if (context.format() != OutputFormat::table) {
        context.print(plan);
        return;
    }
    constexpr std::size_t kShown = 12;
    Json first = Json::array();
    for (const Json& move : plan["moves"]) {
        if (first.size() < kShown) {
            first.push_back(move);
        }
    }
    context.print(first, {"group", "bucket", "donor", "recipient", "rows", "bytes", "why"});
    if (plan["moves"].size() > kShown) {
        fmt::print("... and {} more\n", plan["moves"].size() - kShown);
    }
    print_nodes(context, plan);
    fmt::print("plan {}: {} moves, {}, about {} ({})\n", plan["plan"].get<std::string>(), plan["moves"].size(),
               size_words(plan["bytes"].get<double>()), duration_words(plan["seconds"].get<double>()),
               plan["seconds_measured"] == true ? "as past moves went" : "a guess: nothing was moved yet");
}

namespace {

/// Until the job ends, with a progress bar. Sets the exit status.
void wait_for_job(CommandContext& context, pg::Connection& catalog, std::int64_t job)
{
    Progress progress;
    Json status;
    const WaitResult ended = wait_until(context, [&] {
        status = resharder::status(catalog, job);
        const double total = std::max(1.0, status["total"].get<double>());
        progress.show(status["moved"].get<double>() / total,
                      fmt::format("{} of {} moved", status["moved"].dump(), status["total"].dump()));
        return status["state"] != "running" && status["state"] != "paused";
    });
    progress.finish();
    if (ended != WaitResult::reached) {
        note(fmt::format("job {} goes on; look with `keyshift reshard status {}`", job, job));
        context.status = exit_status_of(ended);
        return;
    }
    if (status["state"] != "done") {
        const Json error = status.value("error", Json::object());
        throw FatalError(
            {fmt::format("reshard job {}", job),
             fmt::format("it is {}{}", status["state"].get<std::string>(),
                         error.is_object() && error.contains("why") ? ": " + error["why"].get<std::string>() : ""),
             fmt::format("`keyshift reshard status {}` shows each move.", job)});
    }
    context.print({{"job", job}, {"state", "done"}, {"moved", status["moved"]}, {"total", status["total"]}}, {});
}

} // namespace

void follow_job(CommandContext& context, pg::Connection& catalog, std::int64_t job)
{
    if (!daemon_runs(catalog)) {
        note(fmt::format("queued as {}; nothing happens until `keyshift run`", job));
    }
    if (context.wait) {
        wait_for_job(context, catalog, job);
    } else {
        context.print({{"job", job}, {"state", "running"}});
        note(fmt::format("look with `keyshift reshard status {}`", job));
    }
}

} // namespace keyshift::daemon
