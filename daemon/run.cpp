#include "daemon/run.hpp"

#include "catalog/catalog.hpp"
#include "core/backoff.hpp"
#include "core/kafka/client.hpp"
#include "core/log.hpp"
#include "daemon/api.hpp"
#include "daemon/config_keys.hpp"
#include "daemon/single_daemon.hpp"
#include "daemon/supervisor.hpp"

#include <systemd/sd-daemon.h>

#include <fmt/core.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <thread>
#include <unistd.h>
#include <utility>

namespace keyshift::daemon {

namespace {

using namespace std::chrono_literals;

log::Level level_of(const std::string& name)
{
    return name == "debug"     ? log::Level::debug
           : name == "warning" ? log::Level::warning
           : name == "error"   ? log::Level::error
                               : log::Level::info;
}

void configure_log(const Config& config)
{
    const bool text = config.log_format.empty() ? isatty(STDERR_FILENO) != 0 : config.log_format == "text";
    log::configure(level_of(config.log_level), text ? log::Format::text : log::Format::json);
}

sigset_t block_signals()
{
    sigset_t signals;
    sigemptyset(&signals);
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) {
        sigaddset(&signals, number);
    }
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    return signals;
}

/// What created the catalog must be what runs on it: slots and topics carry these names.
void check_identity(pg::Connection& catalog, const Config& config)
{
    for (const auto& [key, value] :
         {std::pair("topic_prefix", config.cdc.topic_prefix), std::pair("cluster", config.cluster_name())}) {
        const std::string stored = catalog::meta(catalog, key);
        if (stored != value) {
            throw Error(ErrorKind::configuration,
                        {fmt::format("{} \"{}\"", key, value), fmt::format("the catalog was made with \"{}\"", stored),
                         "Set it back: topics and slots carry this name."});
        }
    }
}

class Daemon {
public:
    Daemon(const std::optional<std::string>& file, const std::map<std::string, std::string>& flags)
        : file_(file), flags_(flags), loaded_(load_config(file, flags)), config_(checked(loaded_)),
          signals_(block_signals())
    {
        configure_log(config_);
        log::info("daemon", "keyshift {} starts with {}", KEYSHIFT_VERSION, loaded_.file);
    }

    int run()
    {
        HttpServer http(config_.http_listen, [this](const HttpRequest& request) { return api_.answer(request); });
        check_catalog();
        std::optional<SingleDaemon> claim = claim_or_stand_by(http);
        if (!claim) {
            log::info("daemon", "stopped");
            return 0;
        }
        supervisor_.start(std::move(*claim));
        log::info("daemon", "catalog {} is claimed; topics {}.*", shown(pg::address_of(config_.catalog_dsn)),
                  config_.cdc.topic_prefix);
        look_for_kafka();
        serve(http);
        watch();
        sd_notify(0, "STOPPING=1");
        return stop();
    }

private:
    static std::string shown(const pg::Address& address)
    {
        return fmt::format("{}:{}/{}", address.host, address.port, address.dbname);
    }

    void check_catalog()
    {
        pg::Connection catalog(config_.catalog("start"));
        catalog::check_version(catalog);
        check_identity(catalog, config_);
    }

    void serve(HttpServer& http)
    {
        if (!std::exchange(serving_, true)) {
            http.start();
            log::info("daemon", "http://{}/", config_.http_listen);
            sd_notify(0, "READY=1");
        }
    }

    /// The claim, at once or when the daemon that works is gone; nullopt: a signal ended the wait.
    std::optional<SingleDaemon> claim_or_stand_by(HttpServer& http)
    {
        constexpr timespec kTick{0, 500'000'000};
        Standby standby(config_);
        std::optional<SingleDaemon> claim = standby.look();
        for (std::string said; !claim;) {
            if (said != standby.other()) {
                said = standby.other();
                log::info("daemon", "standby: {} works; this one takes over when it is gone", said);
            }
            supervisor_.stand_by("standby: " + said + " works");
            serve(http);
            sd_notifyf(0, "WATCHDOG=1\nSTATUS=standby: %s works", said.c_str());
            const int number = sigtimedwait(&signals_, nullptr, &kTick);
            if (number == SIGTERM || number == SIGINT) {
                return std::nullopt;
            }
            if (number == SIGHUP) {
                reload();
            }
            try {
                claim = standby.look();
            } catch (const TransientError& error) {
                log::warning("daemon", "standby: {}", error.what());
            }
        }
        return claim;
    }

    /// A broker that is away is no reason not to start: streams wait for it, PostgreSQL keeps the WAL.
    void look_for_kafka()
    {
        try {
            kafka::Admin(config_.kafka, "keyshift-start").ping(2s);
        } catch (const Error& error) {
            log::warning("daemon", "the streams wait for Kafka: {}", error.what());
        }
    }

    /// Until a signal ends the daemon. Also the watchdog: pings only while the supervisor turns.
    void watch()
    {
        constexpr timespec kTick{1, 0};
        constexpr auto kHung = 25s;
        while (true) {
            const int number = sigtimedwait(&signals_, nullptr, &kTick);
            if (number == SIGTERM || number == SIGINT) {
                return;
            }
            if (number == SIGHUP) {
                reload();
            }
            sd_notifyf(0, "STATUS=%s", supervisor_.summary().c_str());
            if (supervisor_.stalled() < kHung) {
                sd_notify(0, "WATCHDOG=1");
            }
        }
    }

    /// Orderly within ten seconds; a second signal, or the deadline, ends it at once: what is not confirmed is sent again
    /// at the next start (INV-CDC-1).
    int stop()
    {
        constexpr auto kDeadline = 10s;
        constexpr timespec kTick{0, 50'000'000};
        log::info("daemon", "stopping: streams flush and confirm; a second signal ends at once");
        std::atomic<bool> stopped = false;
        const std::jthread stopper([&] {
            supervisor_.stop();
            stopped = true;
        });
        const auto begin = std::chrono::steady_clock::now();
        while (!stopped) {
            const int number = sigtimedwait(&signals_, nullptr, &kTick);
            if (number == SIGTERM || number == SIGINT || std::chrono::steady_clock::now() - begin > kDeadline) {
                log::warning("daemon", "ends before everything is confirmed; the rest is sent again at the next start");
                std::_Exit(number < 0 ? 1 : 128 + number);
            }
        }
        log::info("daemon", "stopped");
        return supervisor_.displaced() ? 1 : 0;
    }

    void reload()
    {
        sd_notify(0, "RELOADING=1");
        LoadedConfig loaded = load_config(file_, flags_);
        process_.config_last_reload_successful.set(loaded.problems.empty() ? 1 : 0);
        for (const ConfigProblem& problem : loaded.problems) {
            log::error("daemon", "reload refused: {}: {}. {}", problem.where, problem.why, problem.next);
        }
        if (loaded.problems.empty()) {
            for (const ConfigKey& key : config_keys()) {
                if (key.needs_restart && key.show(loaded.config) != key.show(config_)) {
                    log::warning("daemon", "{} changed; it needs a restart", key.name);
                }
            }
            if (loaded.config.kafka != config_.kafka) {
                log::warning("daemon", "[kafka] changed; it needs a restart");
            }
            supervisor_.reconfigure(loaded.config);
            config_.reshard = loaded.config.reshard;
            config_.log_level = loaded.config.log_level;
            config_.log_format = loaded.config.log_format;
            configure_log(config_);
            log::info("daemon", "configuration read again");
        }
        sd_notify(0, "READY=1");
    }

    std::optional<std::string> file_;
    std::map<std::string, std::string> flags_;
    LoadedConfig loaded_;
    Config config_;
    sigset_t signals_;
    bool serving_ = false;
    metrics::Metrics metrics_;
    metrics::ProcessMetrics process_{metrics_.registry()};
    Supervisor supervisor_{config_, metrics_};
    Api api_{config_, supervisor_, metrics_, process_};
};

} // namespace

int run_daemon(const std::optional<std::string>& config_file, const std::map<std::string, std::string>& flags)
{
    return Daemon(config_file, flags).run();
}

} // namespace keyshift::daemon
