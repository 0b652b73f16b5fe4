#include "catalog/operations/split.hpp"

#include "core/json.hpp"
#include "daemon/commands/commands.hpp"
#include "daemon/commands/follow_job.hpp"
#include "daemon/wait.hpp"
#include "resharder/resharder.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/core.h>

namespace keyshift::daemon {

namespace {

using Json = nlohmann::json;

/// The command does the work itself. nullopt: it was stopped, and has said where that leaves the bucket.
template <typename Work>
std::optional<Json> work_with_progress(CommandContext& context, Work work)
{
    const CommandStop stop(context);
    Progress progress;
    const catalog::OnlineWork seen{[&progress](double part, const std::string& text) { progress.show(part, text); },
                                   stop.token()};
    try {
        Json done = work(seen);
        progress.finish();
        return done;
    } catch (const Error& error) {
        progress.finish();
        if (stop.status() == 0) {
            throw;
        }
        note(fmt::format("stopped: {}", error.what()));
        context.status = stop.status();
        return std::nullopt;
    }
}

void print_splits(const CommandContext& context, const Json& result)
{
    if (context.format() != OutputFormat::table) {
        context.print(result);
        return;
    }
    Json lines = Json::array();
    for (const Json& split : result["splits"]) {
        const auto blocked = split.find("write_block_ms");
        for (const Json& into : split["into"]) {
            lines.push_back(
                {{"bucket", split["bucket"]},
                 {"into", into["bucket"]},
                 {"modulus", into["modulus"]},
                 {"node", split["node"]},
                 {"epoch", split["epoch"]},
                 {"write_block", blocked == split.end() ? "-" : fmt::format("{:.1f} ms", blocked->get<double>())}});
        }
    }
    if (!lines.empty()) {
        context.print(lines, {"bucket", "into", "modulus", "node", "epoch", "write_block"});
    }
}

void print_isolated(const CommandContext& context, const Json& isolated)
{
    print_splits(context, isolated);
    const auto beside = isolated["keys_beside"].get<std::int64_t>();
    note(fmt::format("bucket {} of {} {} this key {}", isolated["bucket"].dump(), isolated["group"].get<std::string>(),
                     context.dry_run ? "would have" : "has",
                     beside == 0 ? "alone"
                                 : fmt::format("and {} other{}: there is no finer bucket for it alone", beside,
                                               beside == 1 ? "" : "s")));
}

void take_long(CLI::App* verb, CommandContext& context, const char* wait)
{
    verb->add_flag("--wait", context.wait, wait);
    verb->add_option("--timeout", context.timeout, "Take back and give up after 30s, 5min, ... (exit 124)");
    changes(verb, context);
}

void add_split(CLI::App& reshard, CommandContext& context)
{
    struct Options {
        catalog::SplitRequest request;
        std::uint32_t bucket = 0;
        bool all = false;
    };
    const auto options = std::make_shared<Options>();
    CLI::App* verb = add_verb(reshard, "split", "Make two buckets of one on its node, while it is read and written",
                              "keyshift reshard split --group users --bucket 17");
    auto* bucket = verb->add_option("--bucket", options->bucket, "Split this bucket");
    auto* all = verb->add_flag("--all", options->all,
                               "Split every bucket that has the group's smallest modulus: twice as many of even size");
    bucket->excludes(all);
    verb->add_option("--group", options->request.group,
                     "Bucket group, or one of its tables; needed where there are several");
    take_long(verb, context, "As always: the command does the work itself, and ends when it is done");
    verb->callback([&context, options, bucket] {
        if (bucket->count() == 0 && !options->all) {
            throw Error(ErrorKind::usage,
                        {"reshard split", "neither --bucket nor --all was given", "Add --bucket N, or --all."});
        }
        options->request.bucket = options->all ? std::nullopt : std::optional(options->bucket);
        options->request.dry_run = context.dry_run;
        pg::Connection catalog = context.catalog();
        const auto done = work_with_progress(
            context, [&](const catalog::OnlineWork& work) { return catalog::split(catalog, options->request, work); });
        if (done) {
            print_splits(context, *done);
        }
    });
}

void move_alone(CommandContext& context, pg::Connection& catalog, const Json& isolated, const std::string& to)
{
    resharder::PlanWish wish;
    wish.to = {to};
    wish.group = isolated["group"];
    wish.buckets = {isolated["bucket"].get<std::uint32_t>()};
    const std::int64_t job = resharder::start(catalog, wish, std::nullopt);
    if (job == 0) {
        note("the bucket is on " + to + " already");
        return;
    }
    follow_job(context, catalog, job);
}

void add_isolate(CLI::App& reshard, CommandContext& context)
{
    struct Options {
        catalog::IsolateRequest request;
        std::string to;
    };
    const auto options = std::make_shared<Options>();
    CLI::App* verb =
        add_verb(reshard, "isolate", "Give a key, a tenant, a bucket of its own, as far as its hash allows",
                 "keyshift reshard isolate users 42 --to n3");
    verb->add_option("table", options->request.table, "Distributed table")->required();
    verb->add_option("key", options->request.key, "Its shard key")->required();
    verb->add_option("--to", options->to, "Then move that bucket to this node");
    take_long(verb, context, "With --to: end when the bucket is there");
    verb->callback([&context, options] {
        options->request.dry_run = context.dry_run;
        pg::Connection catalog = context.catalog();
        const auto done = work_with_progress(context, [&](const catalog::OnlineWork& work) {
            return catalog::isolate(catalog, options->request, work);
        });
        if (!done) {
            return;
        }
        print_isolated(context, *done);
        if (!options->to.empty() && !context.dry_run) {
            move_alone(context, catalog, *done, options->to);
        }
    });
}

} // namespace

void add_split_commands(CLI::App& reshard, CommandContext& context)
{
    add_split(reshard, context);
    add_isolate(reshard, context);
}

} // namespace keyshift::daemon
