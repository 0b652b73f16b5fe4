#include "projections/renewal.hpp"

#include "core/backoff.hpp"
#include "core/failpoint.hpp"
#include "core/log.hpp"
#include "projections/commands/creation.hpp"
#include "projections/projection_record.hpp"

#include <fmt/core.h>

#include <chrono>
#include <optional>

namespace keyshift::projections {

using namespace std::chrono_literals;

namespace {

bool is_under_way(const std::optional<ProjectionRecord>& successor)
{
    return successor && successor->state != "failed" && successor->state != "paused";
}

/// One that was begun before now reads the topic itself, and finds what this one found.
void begin_successor(pg::Connection& catalog, const ProjectionRecord& record)
{
    const std::string& name = record.definition.name;
    if (record.serving && is_under_way(read_successor(catalog, name))) {
        return;
    }
    rebuild_generation(catalog, record);
    failpoint("projection.renewal.begun");
    log::info("projections", "projection={} is built anew from the rows", name);
}

ErrorParts waiting(ErrorParts why, const ErrorParts& obstacle)
{
    why.next = fmt::format("It is to be built anew from the rows, and waits: {}. {}", obstacle.why, obstacle.next);
    return why;
}

} // namespace

void renew(const pg::ConnectionSettings& settings, std::int64_t id, const ErrorParts& why, Meanwhile meanwhile,
           std::stop_token stop)
{
    pg::Connection catalog(settings);
    const ProjectionRecord record = read_projection(catalog, id);
    if (record.kept) {
        set_error(catalog, id, why);
        return;
    }
    log::warning("projections", "projection={} generation={}: {}", record.definition.name, record.definition.generation,
                 why.why);
    ErrorParts shown = why;
    shown.next =
        fmt::format("A new generation is being built from the rows and takes its place: `keyshift projection show {}` "
                    "shows how far it is.",
                    record.definition.shown_name());
    for (Backoff backoff(200ms, 5s);;) {
        try {
            begin_successor(catalog, record);
            break;
        } catch (const RefusedError& obstacle) {
            wait_with(catalog, id, waiting(why, obstacle.parts()));
        }
        if (!backoff.wait(stop)) {
            return;
        }
    }
    if (!record.serving) {
        return;
    }
    if (meanwhile == Meanwhile::stands) {
        set_error(catalog, id, shown);
    } else {
        wait_with(catalog, id, shown);
    }
}

} // namespace keyshift::projections
