#include "projections/projections.hpp"

#include "core/backoff.hpp"
#include "core/log.hpp"
#include "metrics/families.hpp"
#include "projections/composite_succession.hpp"
#include "projections/projection_record.hpp"
#include "projections/projection_runner.hpp"
#include "projections/renewal.hpp"

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <thread>

namespace keyshift::projections {

using namespace std::chrono_literals;

struct ProjectionService::State {
    pg::ConnectionSettings catalog;
    ProjectionOptions options;
    metrics::ProjectionMetrics& metrics;
    /// The thread of one generation.
    struct Running {
        std::shared_ptr<std::atomic<bool>> ended = std::make_shared<std::atomic<bool>>(false);
        std::jthread thread;
    };
    std::map<std::int64_t, Running> runners; ///< by id in keyshift.projection

    void keep_running(std::int64_t id, const std::string& name, std::stop_token stop) noexcept;
    bool run_once(std::int64_t id, const std::string& name, std::stop_token stop);
    void refresh(pg::Connection& connection);
    void keep_composites(std::stop_token stop) noexcept;
};

/// False: it shall not run now (paused, dropped), or it failed for good.
bool ProjectionService::State::run_once(std::int64_t id, const std::string& name, std::stop_token stop)
{
    try {
        return ProjectionRunner(catalog, options, metrics, id).run(stop);
    } catch (const RowsNeeded& error) {
        renew(catalog, id, error.parts(), Meanwhile::stands, stop);
        return false;
    } catch (const FatalError& error) {
        log::error("projections", "projection={} failed: {}", name, error.what());
        pg::Connection connection(catalog);
        set_error(connection, id, error.parts());
        return false;
    } catch (const RefusedError&) {
        return false; // dropped meanwhile
    }
}

void ProjectionService::State::keep_running(std::int64_t id, const std::string& name, std::stop_token stop) noexcept
{
    Backoff backoff(100ms, 5s);
    while (!stop.stop_requested()) {
        try {
            if (!run_once(id, name, stop)) {
                return;
            }
        } catch (const Error& error) {
            if (!stop.stop_requested()) {
                log::warning("projections", "projection={} tried again: {}", name, error.what());
            }
        } catch (const std::exception& error) {
            log::error("projections", "projection={} a fault of the program: {}", name, error.what());
        }
        backoff.wait(stop);
    }
}

/// One thread for each projection that shall run. One that shall pause ends by itself, having said so in the catalog; a
/// thread that has ended (paused, failed) is begun again when the catalog wants the projection to run.
void ProjectionService::State::refresh(pg::Connection& connection)
{
    const pg::Result rows = connection.query(
        "SELECT id, name, wanted = 'run' AND state <> 'failed' FROM keyshift.projection WHERE wanted <> 'drop'");
    std::map<std::int64_t, std::string> wanted;
    std::set<std::int64_t> known;
    for (int row = 0; row < rows.rows(); ++row) {
        known.insert(rows.integer(row, 0));
        if (rows.boolean(row, 2)) {
            wanted[rows.integer(row, 0)] = rows.text(row, 1);
        }
    }
    std::erase_if(runners, [&](const auto& runner) { return !known.contains(runner.first) || *runner.second.ended; });
    for (const auto& [id, name] : wanted) {
        if (!runners.contains(id)) {
            Running& running = runners[id];
            running.thread =
                std::jthread([this, id = id, projection = name, ended = running.ended](std::stop_token stop) {
                    keep_running(id, projection, stop);
                    *ended = true;
                });
        }
    }
}

/// It waits for locks and for verification, so it has a thread of its own.
void ProjectionService::State::keep_composites(std::stop_token stop) noexcept
{
    do {
        try {
            settle_composites(catalog, stop);
        } catch (const std::exception& error) {
            if (!stop.stop_requested()) {
                log::warning("projections", "generations of several tables are looked after later: {}", error.what());
            }
        }
    } while (sleep_for(1s, stop));
}

ProjectionService::ProjectionService(pg::ConnectionSettings catalog, ProjectionOptions options,
                                     metrics::ProjectionMetrics& metrics)
    : state_(std::make_unique<State>(State{std::move(catalog), std::move(options), metrics, {}}))
{
}

ProjectionService::~ProjectionService() = default;

void ProjectionService::run(std::stop_token stop)
{
    pg::Connection connection(state_->catalog);
    connection.query("LISTEN keyshift_catalog");
    const std::jthread composites([this](std::stop_token stopping) { state_->keep_composites(stopping); });
    while (!stop.stop_requested()) {
        state_->refresh(connection);
        connection.wait_notify(1s, stop);
    }
    state_->runners.clear();
}

} // namespace keyshift::projections
