#include "daemon/single_daemon.hpp"

#include "core/log.hpp"

#include <fmt/core.h>

#include <array>
#include <unistd.h>
#include <utility>

namespace keyshift::daemon {

namespace {

using namespace std::chrono_literals;

// A daemon says each second that it lives.
constexpr auto kLease = 8s;
// After the catalog was away.
constexpr auto kPatience = 3s;

// Who holds the lock; the two halves of a bigint advisory lock, as pg_locks shows them.
constexpr const char* kHolders =
    "SELECT l.pid FROM pg_locks l, (SELECT hashtext('keyshift daemon')::bigint AS key) k WHERE l.locktype = 'advisory' "
    "AND l.granted AND l.objsubid = 1 AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND l.classid::bigint = (k.key >> 32) & 4294967295 AND l.objid::bigint = k.key & 4294967295";

bool try_lock(pg::Connection& catalog)
{
    return catalog.query("SELECT pg_try_advisory_lock(hashtext('keyshift daemon')::bigint)").boolean(0, 0);
}

/// `row`: host, pid, started_at.
std::string described(const pg::Result& row)
{
    return row.rows() == 0 ? "another daemon"
                           : fmt::format("the daemon with pid {} on host {}, running since {},", row.text(0, 1),
                                         row.text(0, 0), row.text(0, 2));
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
    return catalog.query(std::string("SELECT EXISTS (") + kHolders + ")").boolean(0, 0);
}

bool holds_lock(pg::Connection& catalog, int backend)
{
    return catalog.query(std::string("SELECT EXISTS (") + kHolders + " AND l.pid = $1::int)", {std::to_string(backend)})
        .boolean(0, 0);
}

SingleDaemon::SingleDaemon(const Config& config) : connection_(config.catalog("daemon"))
{
    if (!try_lock(connection_)) {
        refuse();
    }
    take(config);
}

SingleDaemon::SingleDaemon(const Config& config, pg::Connection connection) : connection_(std::move(connection))
{
    take(config);
}

void SingleDaemon::refuse()
{
    const pg::Result other = connection_.query("SELECT host, pid, started_at::text FROM keyshift.daemon");
    if (other.rows() > 0 && other.text(0, 0) == host_name() && other.text(0, 1) == std::to_string(::getpid())) {
        throw TransientError({"claiming the catalog again", "the server still holds the lock of the lost connection",
                              "It is tried again; tcp_keepalives_idle of the catalog's server bounds the time."});
    }
    throw RefusedError(
        {"claiming the catalog again", described(other) + " has taken the catalog over",
         "Start this one again, or let the service manager do it: it then stands by. `keyshift status` shows who works."});
}

std::optional<SingleDaemon> Standby::look()
{
    try {
        if (!connection_) {
            connect();
        }
        if (Clock::now() >= patient_until_ && try_lock(*connection_)) {
            connection_->query("SET application_name = 'keyshift daemon'");
            return SingleDaemon(config_, std::move(*connection_));
        }
        watch_other();
    } catch (const TransientError&) {
        connection_.reset();
        throw;
    }
    return std::nullopt;
}

void Standby::connect()
{
    connection_.emplace(config_.catalog("standby"));
    if (connected_before_) {
        patient_until_ = Clock::now() + kPatience;
    }
    connected_before_ = true;
}

void Standby::watch_other()
{
    const pg::Result other =
        connection_->query("SELECT host, pid, started_at::text, seen_at::text FROM keyshift.daemon");
    const std::string sign = other.rows() == 0 ? "" : std::string(other.text(0, 1)) + std::string(other.text(0, 3));
    const auto now = Clock::now();
    if (sign != sign_) {
        sign_ = sign;
        sign_at_ = now;
        other_ = described(other);
    } else if (now - sign_at_ > kLease) {
        end_other();
        sign_at_ = now;
    }
}

void Standby::end_other()
{
    log::warning("daemon", "{} has given no sign of life for {} s: its session is ended", other_, kLease.count());
    try {
        connection_->query(std::string("SELECT pg_terminate_backend(l.pid) FROM (") + kHolders +
                           " AND l.pid <> pg_backend_pid()) l");
    } catch (const pg::SqlError& error) {
        log::warning("daemon", "{}; GRANT pg_signal_backend to the catalog's role, or end it yourself", error.what());
    }
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
