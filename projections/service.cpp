#include "projections/projections.hpp"

#include "core/backoff.hpp"
#include "core/log.hpp"
#include "metrics/families.hpp"
#include "projections/projection_record.hpp"
#include "projections/projection_runner.hpp"

#include <map>
#include <thread>

namespace keyshift::projections {

using namespace std::chrono_literals;

struct ProjectionService::State {
    pg::ConnectionSettings catalog;
    ProjectionOptions options;
    metrics::ProjectionMetrics& metrics;
    std::map<std::string, std::jthread> runners;

    void keep_running(const std::string& name, std::stop_token stop) noexcept;
    bool run_once(const std::string& name, std::stop_token stop);
    void refresh(pg::Connection& connection);
};

/// False: it shall not run now (paused, dropped), or it failed for good.
bool ProjectionService::State::run_once(const std::string& name, std::stop_token stop)
{
    try {
        ProjectionRunner(catalog, options, metrics, name).run(stop);
        return false;
    } catch (const FatalError& error) {
        log::error("projections", "projection={} failed: {}", name, error.what());
        pg::Connection connection(catalog);
        set_error(connection, name, error.parts());
        return false;
    } catch (const RefusedError&) {
        return false; // dropped meanwhile
    }
}

void ProjectionService::State::keep_running(const std::string& name, std::stop_token stop) noexcept
{
    Backoff backoff(100ms, 5s);
    while (!stop.stop_requested()) {
        try {
            if (!run_once(name, stop)) {
                return;
            }
        } catch (const Error& error) {
            if (!stop.stop_requested()) {
                log::warning("projections", "projection={} tried again: {}", name, error.what());
            }
        } catch (const std::exception& error) {
            log::error("projections", "projection={} a fault of the program: {}", name, error.what());
            return;
        }
        backoff.wait(stop);
    }
}

/// One thread for each projection that shall run; a thread that has ended by itself is found by its state in the catalog.
void ProjectionService::State::refresh(pg::Connection& connection)
{
    const pg::Result rows = connection.query("SELECT name, wanted, state FROM keyshift.projection");
    std::map<std::string, bool> wanted;
    for (int row = 0; row < rows.rows(); ++row) {
        wanted[std::string(rows.text(row, 0))] = rows.text(row, 1) == "run" && rows.text(row, 2) != "failed";
    }
    std::erase_if(runners, [&](const auto& runner) { return !wanted.contains(runner.first) || !wanted.at(runner.first); });
    for (const auto& [name, run] : wanted) {
        if (run && !runners.contains(name)) {
            runners.emplace(name, std::jthread([this, name](std::stop_token stop) { keep_running(name, stop); }));
        }
    }
}

ProjectionService::ProjectionService(pg::ConnectionSettings catalog, ProjectionOptions options, metrics::ProjectionMetrics& metrics)
    : state_(std::make_unique<State>(State{std::move(catalog), std::move(options), metrics, {}}))
{
}

ProjectionService::~ProjectionService() = default;

void ProjectionService::run(std::stop_token stop)
{
    pg::Connection connection(state_->catalog);
    connection.query("LISTEN keyshift_catalog");
    while (!stop.stop_requested()) {
        state_->refresh(connection);
        connection.wait_notify(1s, stop);
    }
    state_->runners.clear();
}

} // namespace keyshift::projections
