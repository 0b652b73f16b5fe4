#include "daemon/commands/verify_sample.hpp"

#include "core/backoff.hpp"
#include "core/error.hpp"
#include "core/json.hpp"
#include "daemon/wait.hpp"
#include "projections/projections.hpp"

#include <fmt/chrono.h>
#include <fmt/core.h>

#include <algorithm>
#include <csignal>
#include <cstdio>

namespace keyshift::daemon {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Json = nlohmann::json;

constexpr auto kLeastRest = 1s; ///< of a small projection
constexpr auto kAfterFault = 5s;

std::int64_t differences(const Json& pass)
{
    std::int64_t count = 0;
    for (const char* kind : {"missing", "extra", "different", "rejected"}) {
        count += pass[kind].get<std::int64_t>();
    }
    return count;
}

/// A node that is away, or a broker, is no finding. nullopt: this pass says nothing.
std::optional<Json> one_pass(CommandContext& context, const std::string& name, const std::stop_token& stop)
{
    try {
        pg::Connection catalog = context.catalog();
        Json pass = projections::verify(catalog, name, stop);
        return stop.stop_requested() ? std::nullopt : std::optional(std::move(pass));
    } catch (const TransientError& error) {
        note(fmt::format("{} It is tried again.", error.what()));
        return std::nullopt;
    }
}

} // namespace

void sample_projection(CommandContext& context, const std::string& name, double rows_per_second)
{
    if (rows_per_second <= 0) {
        throw Error(ErrorKind::usage,
                    {"projection verify --sample", "the budget is no rows at all", "Say --rate 10000."});
    }
    watch_interrupt();
    const CommandStop stop(context);
    std::signal(SIGTERM, [](int) { std::raise(SIGINT); });
    bool differed = false;
    while (!stop.token().stop_requested()) {
        const auto begin = Clock::now();
        auto rest = std::chrono::duration<double>(kAfterFault);
        if (auto pass = one_pass(context, name, stop.token())) {
            const auto took = std::chrono::duration<double>(Clock::now() - begin);
            const bool differs = differences(*pass) > 0;
            differed = differed || differs;
            (*pass)["at"] = fmt::format("{:%FT%TZ}", fmt::gmtime(std::time(nullptr)));
            (*pass)["seconds"] = took.count();
            print(*pass, context.format() == OutputFormat::table ? OutputFormat::ndjson : context.format());
            std::fflush(stdout);
            if (differs) {
                note("it differs from its definition; `keyshift projection repair " + name + "` mends it");
            }
            const double rows = std::max((*pass)["rows"].get<double>(), 1.0);
            rest = std::max(std::chrono::duration<double>(rows / rows_per_second) - took,
                            std::chrono::duration<double>(kLeastRest));
        }
        sleep_for(std::chrono::duration_cast<std::chrono::milliseconds>(rest), stop.token());
    }
    const bool asked_to_end = stop.status() == 130;
    context.status = differed ? exit_status(ErrorKind::differs) : asked_to_end ? 0 : stop.status();
}

} // namespace keyshift::daemon
