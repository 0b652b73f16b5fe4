#include "resharder/commands/jobs.hpp"

#include "catalog/catalog.hpp"
#include "resharder/resharder.hpp"

namespace keyshift::resharder {

namespace {

RefusedError cannot(const std::string& verb, std::int64_t job, const std::string& why)
{
    return RefusedError(
        {verb + " job " + std::to_string(job), why, "look at `keyshift reshard status " + std::to_string(job) + "`"});
}

void want(pg::Connection& catalog, std::int64_t job, const std::string& verb, const std::string& wanted,
          const std::string& from)
{
    const auto result = catalog.query(
        "UPDATE keyshift.job SET wanted = $2, state = CASE WHEN $2 = 'pause' THEN state ELSE 'running' END "
        "WHERE id = $1 AND state IN (" +
            from + ")",
        {std::to_string(job), wanted});
    if (result.affected() != 1) {
        job_or_newest(catalog, job);
        throw cannot(verb, job, "it has finished");
    }
    catalog::notify(catalog, "job");
}

} // namespace

std::int64_t job_or_newest(pg::Connection& catalog, std::optional<std::int64_t> job)
{
    const auto rows =
        catalog.query("SELECT id FROM keyshift.job WHERE kind = 'reshard' AND ($1::bigint IS NULL OR id = $1::bigint) "
                      "ORDER BY id DESC LIMIT 1",
                      {job ? std::optional(std::to_string(*job)) : std::nullopt});
    if (rows.rows() == 0) {
        throw RefusedError(
            {job ? "job " + std::to_string(*job) : "reshard jobs", "there is none", "look at `keyshift reshard list`"});
    }
    return rows.integer(0, 0);
}

void pause(pg::Connection& catalog, std::int64_t job)
{
    want(catalog, job, "pausing", "pause", "'running', 'paused'");
}

void resume(pg::Connection& catalog, std::int64_t job)
{
    want(catalog, job, "resuming", "run", "'running', 'paused'");
}

void cancel(pg::Connection& catalog, std::int64_t job)
{
    const auto rows =
        catalog.query("SELECT count(*) FROM keyshift.move WHERE job = $1 AND "
                      "state IN ('planned', 'copying', 'indexing', 'catching_up', 'attached', 'aborting')",
                      {std::to_string(job)});
    if (rows.integer(0, 0) == 0) {
        job_or_newest(catalog, job);
        throw cannot("cancelling", job, "every move is past its fence: from there it only goes forward");
    }
    want(catalog, job, "cancelling", "cancel", "'running', 'paused'");
}

} // namespace keyshift::resharder
