#include "daemon/supervisor.hpp"

#include "core/backoff.hpp"
#include "core/log.hpp"
#include "projections/projections.hpp"
#include "resharder/resharder.hpp"

#include <exception>
#include <vector>

namespace keyshift::daemon {

namespace {

using namespace std::chrono_literals;
// A fatal fault needs a hand; until it comes, a look a minute finds out whether it did.
constexpr auto kFatalPause = 60s;

} // namespace

Supervisor::Supervisor(const Config& config, metrics::Metrics& metrics)
    : config_(config), metrics_(metrics), reshard_metrics_(metrics.registry()), projection_metrics_(metrics.registry())
{
}

Supervisor::~Supervisor()
{
    stop();
}

void Supervisor::keep_running(const std::string& worker, const std::function<void(std::stop_token)>& body, std::stop_token stop)
{
    Backoff backoff(200ms, 10s);
    while (!stop.stop_requested()) {
        try {
            body(stop);
            if (!stop.stop_requested()) {
                log::warning(worker, "ended by itself; started again");
                backoff.wait(stop);
            }
        } catch (const FatalError& error) {
            log::error(worker, "stopped: {}", error.what());
            sleep_for(kFatalPause, stop);
        } catch (const Error& error) {
            log::warning(worker, "tried again: {}", error.what());
            backoff.wait(stop);
        } catch (const std::exception& error) {
            log::error(worker, "a fault of the program: {}", error.what());
            std::terminate();
        }
    }
}

void Supervisor::start()
{
    pg::Connection catalog(config_.catalog("supervisor"));
    refresh_streams(catalog);
    resharder_ = std::jthread([this](std::stop_token stop) {
        const auto stream_of = [this](const std::string& node) -> cdc::StreamPort* {
            std::scoped_lock lock(mutex_);
            const auto found = streams_.find(node);
            return found == streams_.end() ? nullptr : found->second.stream.get();
        };
        keep_running("resharder", [&](std::stop_token inner) {
            resharder::Resharder(config_.catalog("resharder"), stream_of, config_.reshard, reshard_metrics_).run(inner);
        }, stop);
    });
    projections_ = std::jthread([this](std::stop_token stop) {
        keep_running("projections", [&](std::stop_token inner) {
            projections::ProjectionService(config_.catalog("projections"), config_.projection, projection_metrics_).run(inner);
        }, stop);
    });
    watcher_ = std::jthread([this](std::stop_token stop) {
        keep_running("supervisor", [&](std::stop_token inner) { watch_catalog(inner); }, stop);
    });
    ready_ = true;
}

void Supervisor::watch_catalog(std::stop_token stop)
{
    pg::Connection catalog(config_.catalog("supervisor"));
    catalog.script("LISTEN keyshift_catalog; LISTEN keyshift_placement");
    while (!stop.stop_requested()) {
        if (catalog.wait_notify(1s, stop)) {
            placement_changed();
        }
        refresh_streams(catalog);
        std::scoped_lock lock(mutex_);
        alive_ = std::chrono::steady_clock::now();
    }
}

void Supervisor::placement_changed()
{
    std::scoped_lock lock(mutex_);
    for (auto& [name, worker] : streams_) {
        worker.stream->placement_changed();
    }
}

void Supervisor::refresh_streams(pg::Connection& catalog)
{
    std::map<std::string, catalog::Node> wanted;
    for (const catalog::Node& node : catalog::nodes(catalog)) {
        if (node.state == "active" || node.state == "draining") {
            wanted.emplace(node.name, node);
        }
    }
    std::vector<StreamWorker> ended;
    {
        std::scoped_lock lock(mutex_);
        for (const auto& [name, node] : wanted) {
            if (!streams_.contains(name)) {
                add_stream(node);
            }
        }
        for (auto worker = streams_.begin(); worker != streams_.end();) {
            if (wanted.contains(worker->first)) {
                ++worker;
            } else {
                log::info("supervisor", "node={} is gone, its stream ends", worker->first);
                ended.push_back(std::move(worker->second));
                worker = streams_.erase(worker);
            }
        }
    }
}

void Supervisor::add_stream(const catalog::Node& node)
{
    StreamWorker worker;
    worker.metrics = std::make_unique<metrics::CdcMetrics>(metrics_.registry(), node.name);
    worker.stream = std::make_shared<cdc::NodeStream>(node, config_.catalog("stream of " + node.name), config_.cdc, *worker.metrics);
    worker.thread = std::jthread([this, name = node.name, stream = worker.stream](std::stop_token stop) {
        keep_running("stream " + name, [&](std::stop_token inner) { stream->run(inner); }, stop);
    });
    log::info("supervisor", "node={} stream starts slot={}", node.name, node.slot);
    streams_.emplace(node.name, std::move(worker));
}

void Supervisor::stop()
{
    for (std::jthread* thread : {&watcher_, &resharder_, &projections_}) {
        thread->request_stop();
    }
    {
        std::scoped_lock lock(mutex_);
        for (auto& [name, worker] : streams_) {
            worker.thread.request_stop();
        }
    }
    for (std::jthread* thread : {&watcher_, &resharder_, &projections_}) {
        if (thread->joinable()) {
            thread->join();
        }
    }
    std::map<std::string, StreamWorker> streams;
    {
        std::scoped_lock lock(mutex_);
        streams.swap(streams_);
    }
    streams.clear();
}

std::chrono::milliseconds Supervisor::stalled() const
{
    std::scoped_lock lock(mutex_);
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - alive_);
}

} // namespace keyshift::daemon
