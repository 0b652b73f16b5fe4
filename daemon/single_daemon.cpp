#include "daemon/single_daemon.hpp"

#include <fmt/core.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <unistd.h>

namespace keyshift::daemon {

namespace {

bool process_is_gone(std::string_view pid)
{
    pid_t number = 0;
    std::from_chars(pid.data(), pid.data() + pid.size(), number);
    return number > 0 && ::kill(number, 0) != 0 && errno == ESRCH;
}

} // namespace

std::string host_name()
{
    std::array<char, 256> name{};
    ::gethostname(name.data(), name.size() - 1);
    return name.data();
}

bool daemon_runs(pg::Connection& catalog)
{
    // The two halves of a bigint advisory lock, as pg_locks shows them.
    return catalog
        .query(
            "SELECT EXISTS (SELECT FROM pg_locks l, (SELECT hashtext('keyshift daemon')::bigint AS key) k WHERE l.locktype = 'advisory' "
            "AND l.granted AND l.objsubid = 1 AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
            "AND l.classid::bigint = (k.key >> 32) & 4294967295 AND l.objid::bigint = k.key & 4294967295)")
        .boolean(0, 0);
}

SingleDaemon::SingleDaemon(const Config& config, Claim claim) : connection_(config.catalog("daemon"))
{
    if (!connection_.query("SELECT pg_try_advisory_lock(hashtext('keyshift daemon')::bigint)").boolean(0, 0)) {
        refuse(claim);
    }
    take(config);
}

void SingleDaemon::refuse(Claim claim)
{
    const pg::Result other = connection_.query("SELECT host, pid, started_at::text FROM keyshift.daemon");
    if (other.rows() == 0) {
        throw RefusedError({"starting the daemon", "another daemon holds the catalog",
                            "Stop it first; `keyshift status` shows what it does."});
    }
    const bool here = other.text(0, 0) == host_name();
    const bool own = here && other.text(0, 1) == std::to_string(::getpid()) && claim == Claim::again;
    if (own || (here && process_is_gone(other.text(0, 1)))) {
        throw TransientError(
            {"starting the daemon",
             fmt::format("the server still holds the lock of the daemon with pid {}, which is gone", other.text(0, 1)),
             "It is tried again; tcp_keepalives_idle of the catalog's server bounds the time."});
    }
    throw RefusedError({"starting the daemon",
                        fmt::format("the daemon with pid {} on host {}, running since {}, holds the catalog",
                                    other.text(0, 1), other.text(0, 0), other.text(0, 2)),
                        "Stop it first; `keyshift status` shows what it does."});
}

void SingleDaemon::take(const Config& config)
{
    connection_.query(
        "INSERT INTO keyshift.daemon (host, pid, version, http, started_at, seen_at) VALUES ($1, $2, $3, $4, now(), now()) "
        "ON CONFLICT (one) DO UPDATE SET host = excluded.host, pid = excluded.pid, version = excluded.version, "
        "http = excluded.http, started_at = excluded.started_at, seen_at = excluded.seen_at",
        {host_name(), std::to_string(::getpid()), KEYSHIFT_VERSION, config.http_listen});
}

void SingleDaemon::seen()
{
    connection_.query("UPDATE keyshift.daemon SET seen_at = now()");
}

} // namespace keyshift::daemon
