#include "daemon/single_daemon.hpp"

#include <fmt/core.h>

#include <array>
#include <unistd.h>

namespace keyshift::daemon {

namespace {

std::string host_name()
{
    std::array<char, 256> name{};
    ::gethostname(name.data(), name.size() - 1);
    return name.data();
}

} // namespace

std::int64_t daemon_lock_key(pg::Connection& catalog)
{
    return catalog.query("SELECT hashtext('keyshift daemon')::bigint").integer(0, 0);
}

SingleDaemon::SingleDaemon(const Config& config, const std::string& http_address) : connection_(config.catalog("daemon lock"))
{
    if (!connection_.query("SELECT pg_try_advisory_lock(hashtext('keyshift daemon')::bigint)").boolean(0, 0)) {
        const pg::Result other = connection_.query("SELECT host, pid, started_at::text FROM keyshift.daemon");
        const std::string who = other.rows() == 0 ? "another daemon"
                                                  : fmt::format("the daemon with pid {} on host {}, running since {},", other.text(0, 1),
                                                                other.text(0, 0), other.text(0, 2));
        throw RefusedError({"starting the daemon", who + " holds the catalog", "Stop it first; `keyshift status` shows what it does."});
    }
    connection_.query("INSERT INTO keyshift.daemon (host, pid, version, http, started_at, seen_at) VALUES ($1, $2, $3, $4, now(), now()) "
                      "ON CONFLICT (one) DO UPDATE SET host = excluded.host, pid = excluded.pid, version = excluded.version, "
                      "http = excluded.http, started_at = excluded.started_at, seen_at = excluded.seen_at",
                      {host_name(), std::to_string(::getpid()), KEYSHIFT_VERSION, http_address});
}

void SingleDaemon::seen()
{
    connection_.query("UPDATE keyshift.daemon SET seen_at = now()");
}

} // namespace keyshift::daemon
