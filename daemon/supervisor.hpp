#pragma once
/// The daemon's workers: a stream for each node, the resharder, the projections, the reference tables, and the watcher of the catalog, which
/// holds the daemon's claim and starts and ends streams as nodes come and go.

#include "catalog/catalog.hpp"
#include "cdc/node_stream.hpp"
#include "daemon/config.hpp"
#include "daemon/single_daemon.hpp"
#include "daemon/worker.hpp"
#include "metrics/families.hpp"

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace keyshift::daemon {

class Supervisor {
public:
    Supervisor(const Config& config, metrics::Metrics& metrics);
    ~Supervisor();

    /// Another daemon works: what /readyz says until start().
    void stand_by(std::string words);
    /// "": this daemon does not stand by.
    std::string standing_by() const;
    /// Starts everything and takes the claim over. Throws when the catalog cannot be read.
    void start(SingleDaemon claim);
    /// Streams flush and confirm, then all ends. Returns when it has.
    void stop();
    /// After a reload: moves that run take the new settings; parts that a fatal error stopped try again.
    void reconfigure(const Config& next);

    /// Age of the last turn of the watcher, which turns whatever is away: for the watchdog and /livez.
    std::chrono::milliseconds stalled() const;
    /// Started, and no stream is still starting.
    bool ready() const;
    /// "2 of 3 streams": for systemctl status.
    std::string summary() const;
    /// Streams as they are now, and the workers that an error keeps from running.
    std::vector<cdc::StreamStatus> streams() const;
    std::vector<WorkerStatus> troubled() const;
    /// Another daemon has taken the catalog while this one had lost it: this process was told to stop.
    bool displaced() const { return displaced_; }

private:
    /// One node's stream with its worker. Retired ones are kept to the end: a move may still hold the port.
    struct StreamWorker {
        catalog::Node node;
        std::unique_ptr<metrics::CdcMetrics> metrics;
        std::unique_ptr<cdc::NodeStream> stream;
        std::unique_ptr<Worker> worker;
    };

    void watch_catalog(std::stop_token stop);
    void refresh_streams(pg::Connection& catalog);
    /// At once, and not only after their pause.
    void look_again_at_stopped_streams();
    void retire(std::map<std::string, StreamWorker>::iterator stream);
    StreamWorker make_stream(const catalog::Node& node);
    std::unique_ptr<Worker> make_resharder();
    std::unique_ptr<Worker> make_projections(projections::ProjectionOptions options);
    std::unique_ptr<Worker> make_references(projections::ProjectionOptions options);
    void claim_again();
    /// Asked of the catalog itself: this daemon is the one that works.
    bool holds_claim() const;
    void prove_buckets(const catalog::Node& node) const;
    void mend(const catalog::Node& node) const;
    void turned();

    const Config& config_;
    metrics::Metrics& metrics_;
    metrics::ReshardMetrics reshard_metrics_;
    metrics::ProjectionMetrics projection_metrics_;
    metrics::ReferenceMetrics reference_metrics_;
    std::optional<SingleDaemon> claim_; ///< the watcher's thread
    mutable std::mutex mutex_;
    std::map<std::string, StreamWorker> streams_;                                     ///< guarded by mutex_
    std::vector<StreamWorker> retired_;                                               ///< guarded by mutex_
    std::chrono::steady_clock::time_point turned_ = std::chrono::steady_clock::now(); ///< guarded by mutex_
    bool started_ = false;                                                            ///< guarded by mutex_
    std::string standing_by_;                                                         ///< guarded by mutex_
    std::atomic<int> claim_backend_ = 0; ///< process of the claim's session; 0: it is lost
    std::atomic<bool> displaced_ = false;
    std::shared_ptr<resharder::LiveOptions> reshard_options_;
    std::unique_ptr<Worker> resharder_;
    std::unique_ptr<Worker> projections_;
    std::unique_ptr<Worker> references_;
    std::unique_ptr<Worker> watcher_;
};

} // namespace keyshift::daemon
