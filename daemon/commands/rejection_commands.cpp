#include "daemon/commands/commands.hpp"

#include "core/json.hpp"
#include "projections/projections.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/core.h>

namespace keyshift::daemon {

namespace {

using Json = nlohmann::json;

/// Which rejections a verb is for: those of these numbers, or all of a projection.
struct Chosen {
    std::vector<std::int64_t> ids;
    std::string projection;
};

void add_choice(CLI::App& verb, Chosen& chosen)
{
    CLI::Option* ids = verb.add_option("id", chosen.ids, "Numbers from the list");
    verb.add_option("--projection", chosen.projection, "All of one projection")->excludes(ids);
}

std::vector<std::int64_t> ids_of(pg::Connection& catalog, const Chosen& chosen)
{
    if (!chosen.projection.empty()) {
        static_cast<void>(projections::show(catalog, chosen.projection));
        std::vector<std::int64_t> ids;
        for (const Json& rejection : projections::rejections(catalog, chosen.projection)) {
            ids.push_back(rejection.at("id"));
        }
        return ids;
    }
    if (chosen.ids.empty()) {
        throw Error(ErrorKind::usage, {"rejections", "it is not said which ones",
                                       "Name their numbers, or a projection: --projection user_interactions."});
    }
    for (const std::int64_t id : chosen.ids) {
        static_cast<void>(projections::rejection(catalog, id));
    }
    return chosen.ids;
}

void retry(CommandContext& context, const Chosen& chosen)
{
    pg::Connection catalog = context.catalog();
    Json outcomes = Json::array();
    std::size_t rejected = 0;
    for (const std::int64_t id : ids_of(catalog, chosen)) {
        outcomes.push_back(context.dry_run ? Json{{"id", id}, {"outcome", "nothing: a dry run"}}
                                           : projections::retry_rejection(catalog, id, {}));
        rejected += outcomes.back()["outcome"] == "rejected" ? 1U : 0U;
    }
    context.print(outcomes, {"id", "projection", "outcome", "reason", "detail"});
    if (rejected > 0) {
        note(fmt::format("{} still cannot be used", rejected));
        context.status = exit_status(ErrorKind::differs);
    }
}

void drop(CommandContext& context, const Chosen& chosen)
{
    pg::Connection catalog = context.catalog();
    const std::vector<std::int64_t> ids = ids_of(catalog, chosen);
    context.confirm(fmt::format("Drop {} rejection(s)? What they would have written is lost to the projection until "
                                "their rows change or `keyshift projection repair`.",
                                ids.size()));
    Json dropped = Json::array();
    for (const std::int64_t id : ids) {
        if (!context.dry_run) {
            projections::drop_rejection(catalog, id);
        }
        dropped.push_back({{"id", id}, {"done", context.dry_run ? "nothing: a dry run" : "dropped"}});
    }
    context.print(dropped);
}

void add_reading(CLI::App& rejected, CommandContext& context)
{
    const auto which = std::make_shared<std::string>();
    CLI::App* list = add_verb(rejected, "list", "All, or those of one projection", "keyshift rejections list");
    list->add_option("projection", *which, "Projection");
    list->callback([&context, which] {
        pg::Connection catalog = context.catalog();
        context.print(projections::rejections(catalog, *which),
                      {"id", "projection", "topic", "partition", "offset", "reason", "row", "at"});
    });
    const auto id = std::make_shared<std::int64_t>(0);
    CLI::App* show =
        add_verb(rejected, "show", "One event: why, its key, value and headers", "keyshift rejections show 12");
    show->add_option("id", *id, "Number from the list")->required();
    show->callback([&context, id] {
        pg::Connection catalog = context.catalog();
        context.print(projections::rejection(catalog, *id));
    });
}

} // namespace

void add_rejection_commands(CLI::App& app, CommandContext& context)
{
    CLI::App* rejected = add_verb(app, "rejections", "Events that a projection could not use",
                                  "keyshift rejections list user_interactions");
    rejected->require_subcommand(1);
    add_reading(*rejected, context);
    const auto again = std::make_shared<Chosen>();
    CLI::App* retried =
        add_verb(*rejected, "retry", "Read the stored events once more; exit 6 where one still cannot be used",
                 "keyshift rejections retry 12 13");
    add_choice(*retried, *again);
    changes(retried, context)->callback([&context, again] { retry(context, *again); });
    const auto gone = std::make_shared<Chosen>();
    CLI::App* dropped = add_verb(*rejected, "drop", "Forget events that will never be used",
                                 "keyshift rejections drop --projection user_interactions --yes");
    add_choice(*dropped, *gone);
    destroys(dropped, context)->callback([&context, gone] { drop(context, *gone); });
}

} // namespace keyshift::daemon
