#pragma once
/// The daemon's workers: a stream for each node, the resharder, the projections, and the watcher of the catalog that
/// starts and ends streams as nodes come and go. Each worker is one jthread; what it throws is kept for status and, when
/// transient, tried again with back-off. A fatal error leaves that worker stopped for a minute at a time, loudly.

#include "catalog/catalog.hpp"
#include "cdc/node_stream.hpp"
#include "daemon/config.hpp"
#include "metrics/families.hpp"

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace keyshift::daemon {

class Supervisor {
public:
    Supervisor(const Config& config, metrics::Metrics& metrics);
    ~Supervisor();

    /// Starts everything. Throws when the catalog cannot be read.
    void start();
    /// Sources first: streams flush and confirm, then the others end. Returns when all have.
    void stop();
    /// Age of the oldest sign of life of the loops that must turn whatever is away; for the watchdog and /livez.
    std::chrono::milliseconds stalled() const;
    /// The streams of all nodes are started and the catalog was read.
    bool ready() const { return ready_; }

private:
    /// One node's stream with its thread; the stream outlives the thread.
    struct StreamWorker {
        std::unique_ptr<metrics::CdcMetrics> metrics;
        std::shared_ptr<cdc::NodeStream> stream;
        std::jthread thread;
    };

    void watch_catalog(std::stop_token stop);
    void refresh_streams(pg::Connection& catalog);
    void add_stream(const catalog::Node& node);
    void placement_changed();
    /// Runs `body` again and again until stop, waiting after each failure.
    void keep_running(const std::string& worker, const std::function<void(std::stop_token)>& body, std::stop_token stop);

    const Config& config_;
    metrics::Metrics& metrics_;
    metrics::ReshardMetrics reshard_metrics_;
    metrics::ProjectionMetrics projection_metrics_;
    mutable std::mutex mutex_;
    std::map<std::string, StreamWorker> streams_; ///< guarded by mutex_
    std::chrono::steady_clock::time_point alive_ = std::chrono::steady_clock::now(); ///< guarded by mutex_
    std::atomic<bool> ready_ = false;
    std::jthread resharder_;
    std::jthread projections_;
    std::jthread watcher_;
};

} // namespace keyshift::daemon
