#include "daemon/run.hpp"

#include "catalog/catalog.hpp"
#include "core/kafka/client.hpp"
#include "core/log.hpp"
#include "daemon/api.hpp"
#include "daemon/config_keys.hpp"
#include "daemon/single_daemon.hpp"
#include "daemon/supervisor.hpp"

#include <systemd/sd-daemon.h>

#include <fmt/core.h>

#include <csignal>
#include <ctime>
#include <unistd.h>

namespace keyshift::daemon {

namespace {

using namespace std::chrono_literals;

log::Level level_of(const std::string& name)
{
    return name == "debug" ? log::Level::debug : name == "warning" ? log::Level::warning : name == "error" ? log::Level::error : log::Level::info;
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
    for (const auto& [key, value] : {std::pair("topic_prefix", config.cdc.topic_prefix), std::pair("cluster", config.cluster_name())}) {
        const std::string stored = catalog::meta(catalog, key);
        if (stored != value) {
            throw Error(ErrorKind::configuration, {fmt::format("{} \"{}\"", key, value), fmt::format("the catalog was made with \"{}\"", stored),
                                                   "Set it back: topics and slots carry this name."});
        }
    }
}

class Daemon {
public:
    Daemon(const std::optional<std::string>& file, const std::map<std::string, std::string>& flags)
        : file_(file), flags_(flags), config_(checked(load_config(file, flags))), signals_(block_signals())
    {
        configure_log(config_);
        log::info("daemon", "keyshift {} starts with {}", KEYSHIFT_VERSION, load_config(file, flags).file);
    }

    int run()
    {
        HttpServer http(config_.http_listen, [this](const HttpRequest& request) { return api_.answer(request); });
        SingleDaemon single = claim_catalog();
        kafka::Admin(config_.kafka, "keyshift-start").ping(10s);
        supervisor_.start();
        http.start();
        log::info("daemon", "ready; http://{}/", config_.http_listen);
        sd_notify(0, "READY=1");
        watch(single);
        sd_notify(0, "STOPPING=1");
        log::info("daemon", "stopping: streams flush and confirm");
        supervisor_.stop();
        log::info("daemon", "stopped");
        return 0;
    }

private:
    SingleDaemon claim_catalog()
    {
        pg::Connection catalog(config_.catalog("start"));
        catalog::check_version(catalog);
        check_identity(catalog, config_);
        return {config_, config_.http_listen};
    }

    /// Until a signal ends the daemon. Also the watchdog: pings only while the loops turn.
    void watch(SingleDaemon& single)
    {
        constexpr timespec kTick{1, 0};
        constexpr auto kHung = 60s;
        while (true) {
            const int number = sigtimedwait(&signals_, nullptr, &kTick);
            if (number == SIGTERM || number == SIGINT) {
                return;
            }
            if (number == SIGHUP) {
                reload();
            }
            keep_claim(single);
            if (supervisor_.stalled() < kHung) {
                sd_notify(0, "WATCHDOG=1");
            }
        }
    }

    void keep_claim(SingleDaemon& single)
    {
        try {
            single.seen();
        } catch (const Error& error) {
            // Streams go on without the catalog: each has its slot, which lets one reader in.
            log::warning("daemon", "the catalog does not answer: {}", error.what());
            try {
                single = SingleDaemon(config_, config_.http_listen);
            } catch (const Error& again) {
                log::warning("daemon", "the catalog is not claimed again yet: {}", again.what());
            }
        }
    }

    void reload()
    {
        sd_notify(0, "RELOADING=1");
        const LoadedConfig loaded = load_config(file_, flags_);
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
            config_.log_level = loaded.config.log_level;
            config_.log_format = loaded.config.log_format;
            configure_log(config_);
            log::info("daemon", "configuration read again");
        }
        sd_notify(0, "READY=1");
    }

    std::optional<std::string> file_;
    std::map<std::string, std::string> flags_;
    Config config_;
    sigset_t signals_;
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
