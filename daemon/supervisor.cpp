#include "daemon/supervisor.hpp"

#include "cdc/status_row.hpp"
#include "core/log.hpp"
#include "core/pg/bucket_probe.hpp"
#include "projections/projections.hpp"
#include "projections/reference/reference_service.hpp"
#include "resharder/resharder.hpp"
#include "resharder/stale_buckets.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <csignal>
#include <unistd.h>
#include <utility>

namespace keyshift::daemon {

namespace {

using namespace std::chrono_literals;

bool same_database(const catalog::Node& a, const catalog::Node& b)
{
    return a.dsn == b.dsn && a.password_file == b.password_file && a.slot == b.slot &&
           a.system_identifier == b.system_identifier;
}

/// What stopped a stream may be mended by what a command has just changed, also when it stops a moment later over what it read before.
constexpr auto kFresh = 5s;

} // namespace

Supervisor::Supervisor(const Config& config, metrics::Metrics& metrics)
    : config_(config), metrics_(metrics), reshard_metrics_(metrics.registry()), projection_metrics_(metrics.registry()),
      reference_metrics_(metrics.registry()), reshard_options_(std::make_shared<resharder::LiveOptions>(config.reshard))
{
}

Supervisor::~Supervisor()
{
    stop();
}

void Supervisor::start(SingleDaemon claim)
{
    claim_.emplace(std::move(claim));
    claim_backend_ = claim_->connection().backend_pid();
    refresh_streams(claim_->connection());
    reshard_options_->change(config_.reshard);
    resharder_ = make_resharder();
    projections_ = make_projections(config_.projection);
    references_ = make_references(config_.projection);
    watcher_ = std::make_unique<Worker>("catalog", [this](std::stop_token stop) { watch_catalog(stop); });
    const std::scoped_lock lock(mutex_);
    started_ = true;
    standing_by_.clear();
}

void Supervisor::stand_by(std::string words)
{
    const std::scoped_lock lock(mutex_);
    standing_by_ = std::move(words);
    turned_ = std::chrono::steady_clock::now();
}

std::string Supervisor::standing_by() const
{
    const std::scoped_lock lock(mutex_);
    return standing_by_;
}

bool Supervisor::holds_claim() const
{
    const int backend = claim_backend_;
    if (backend == 0) {
        return false;
    }
    pg::Connection catalog(config_.catalog("supervisor"));
    return holds_lock(catalog, backend);
}

std::unique_ptr<Worker> Supervisor::make_resharder()
{
    return std::make_unique<Worker>("resharder", [this](std::stop_token stop) {
        const auto stream_of = [this](const std::string& node) -> cdc::StreamPort* {
            const std::scoped_lock lock(mutex_);
            const auto found = streams_.find(node);
            return found == streams_.end() ? nullptr : found->second.stream.get();
        };
        resharder::Resharder(config_.catalog("resharder"), stream_of, reshard_options_, reshard_metrics_).run(stop);
    });
}

std::unique_ptr<Worker> Supervisor::make_projections(projections::ProjectionOptions options)
{
    return std::make_unique<Worker>("projections", [this, options](std::stop_token stop) {
        projections::ProjectionService(config_.catalog("projections"), options, projection_metrics_).run(stop);
    });
}

std::unique_ptr<Worker> Supervisor::make_references(projections::ProjectionOptions options)
{
    return std::make_unique<Worker>("references", [this, options](std::stop_token stop) {
        projections::ReferenceService(config_.catalog("references"), options, reference_metrics_).run(stop);
    });
}

void Supervisor::claim_again()
{
    // Streams and moves go on meanwhile: each slot lets one reader in, each move has its owner epoch.
    try {
        claim_.emplace(SingleDaemon(config_));
        claim_backend_ = claim_->connection().backend_pid();
        log::info("catalog", "claimed again");
    } catch (const RefusedError& error) {
        log::error("catalog", "this daemon ends: {}", error.what());
        displaced_ = true;
        ::kill(::getpid(), SIGTERM);
        throw;
    }
}

void Supervisor::prove_buckets(const catalog::Node& node) const
{
    try {
        pg::Connection connection(node.connection("bucket proof"));
        pg::probe_buckets(connection);
    } catch (const Error& error) {
        cdc::StreamStatus status;
        status.node = node.name;
        status.slot = node.slot;
        status.state =
            error.kind() == ErrorKind::transient || error.kind() == ErrorKind::unreachable ? "waiting" : "stopped";
        status.error = error.parts();
        pg::Connection catalog(config_.catalog("supervisor"));
        cdc::write_status_row(catalog, status);
        throw;
    }
}

/// At every connect, before anything of the node is read: it may be a standby that was promoted since.
void Supervisor::mend(const catalog::Node& node) const
{
    try {
        pg::Connection catalog(config_.catalog("supervisor"));
        resharder::mend_if_returned(catalog, node.name);
    } catch (const Error& error) {
        // Capture rests on the slot and not on the catalog: what could not be compared now is at the next connect.
        log::warning("supervisor", "node={} its buckets were not compared with the catalog: {}", node.name,
                     error.what());
    }
}

void Supervisor::watch_catalog(std::stop_token stop)
{
    turned();
    if (!claim_) {
        claim_again();
    }
    try {
        pg::Connection& catalog = claim_->connection();
        catalog.script("LISTEN keyshift_catalog; LISTEN keyshift_placement");
        auto fresh_until = std::chrono::steady_clock::now();
        while (!stop.stop_requested()) {
            const std::optional<std::string> news = catalog.wait_notify(1s, stop);
            const auto now = std::chrono::steady_clock::now();
            fresh_until = news == "node" || news == "table" || news == "topic" ? now + kFresh : fresh_until;
            if (now < fresh_until) {
                look_again_at_stopped_streams();
            }
            claim_->seen();
            refresh_streams(catalog);
            if (news) {
                const std::scoped_lock lock(mutex_);
                for (auto& [name, one] : streams_) {
                    one.stream->placement_changed();
                }
            }
            turned();
        }
    } catch (const Error&) {
        claim_backend_ = 0;
        claim_.reset();
        turned();
        throw;
    }
}

void Supervisor::look_again_at_stopped_streams()
{
    const std::scoped_lock lock(mutex_);
    for (auto& [name, one] : streams_) {
        if (one.worker->status().state == "stopped") {
            one.worker->retry_now();
        }
    }
}

void Supervisor::refresh_streams(pg::Connection& catalog)
{
    std::map<std::string, catalog::Node> wanted;
    for (const catalog::Node& node : catalog::nodes(catalog)) {
        if ((node.state == "active" || node.state == "draining") && !node.capture_paused) {
            wanted.emplace(node.name, node);
        }
    }
    const std::scoped_lock lock(mutex_);
    for (auto stream = streams_.begin(); stream != streams_.end();) {
        const auto present = stream++;
        const auto node = wanted.find(present->first);
        if (node == wanted.end() || !same_database(node->second, present->second.node)) {
            log::info("supervisor", "node={} is gone or its capture is paused, its stream ends", present->first);
            retire(present);
        }
    }
    for (const auto& [name, node] : wanted) {
        if (!streams_.contains(name)) {
            streams_.emplace(name, make_stream(node));
        }
    }
}

void Supervisor::retire(std::map<std::string, StreamWorker>::iterator stream)
{
    stream->second.worker->request_stop();
    retired_.push_back(std::move(stream->second));
    streams_.erase(stream);
}

Supervisor::StreamWorker Supervisor::make_stream(const catalog::Node& node)
{
    StreamWorker made;
    made.node = node;
    made.metrics = std::make_unique<metrics::CdcMetrics>(metrics_.registry(), node.name);
    made.stream =
        std::make_unique<cdc::NodeStream>(node, config_.catalog("stream of " + node.name), config_.cdc, *made.metrics);
    made.stream->end_older_reader_when([this] { return holds_claim(); });
    made.worker = std::make_unique<Worker>(
        "stream " + node.name, [this, node, stream = made.stream.get(), proven = false](std::stop_token stop) mutable {
            if (!proven) {
                // Routing rests on it: no stream runs before the node has confirmed our hash.
                prove_buckets(node);
                proven = true;
            }
            mend(node);
            stream->run(stop);
        });
    log::info("supervisor", "node={} slot={} stream starts", node.name, node.slot);
    return made;
}

void Supervisor::stop()
{
    for (const auto* worker : {&watcher_, &resharder_, &projections_, &references_}) {
        if (*worker) {
            (*worker)->request_stop();
        }
    }
    {
        const std::scoped_lock lock(mutex_);
        for (auto& [name, stream] : streams_) {
            stream.worker->request_stop();
        }
    }
    watcher_.reset();
    resharder_.reset();
    projections_.reset();
    references_.reset();
    std::map<std::string, StreamWorker> streams;
    std::vector<StreamWorker> retired;
    {
        const std::scoped_lock lock(mutex_);
        started_ = false;
        streams.swap(streams_);
        retired.swap(retired_);
    }
    streams.clear();
    retired.clear();
    claim_.reset();
}

void Supervisor::reconfigure(const Config& next)
{
    if (!resharder_) {
        return; // standing by: nothing runs yet
    }
    if (next.reshard != config_.reshard) {
        log::info("supervisor", "[reshard] changed: moves that run take the new settings");
        reshard_options_->change(next.reshard);
    }
    const std::scoped_lock lock(mutex_);
    for (auto& [name, stream] : streams_) {
        stream.worker->retry_now();
    }
    resharder_->retry_now();
    projections_->retry_now();
    references_->retry_now();
}

void Supervisor::turned()
{
    const std::scoped_lock lock(mutex_);
    turned_ = std::chrono::steady_clock::now();
}

std::chrono::milliseconds Supervisor::stalled() const
{
    const std::scoped_lock lock(mutex_);
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - turned_);
}

std::vector<cdc::StreamStatus> Supervisor::streams() const
{
    const std::scoped_lock lock(mutex_);
    std::vector<cdc::StreamStatus> all;
    for (const auto& [name, stream] : streams_) {
        const WorkerStatus worker = stream.worker->status();
        all.push_back(stream.stream->status());
        if (worker.state != "running") {
            all.back().state = worker.state == "retrying" ? "waiting" : "stopped";
            all.back().error = worker.error;
        }
    }
    return all;
}

bool Supervisor::ready() const
{
    const auto all = streams();
    const std::scoped_lock lock(mutex_);
    return started_ &&
           std::none_of(all.begin(), all.end(), [](const cdc::StreamStatus& one) { return one.state == "starting"; });
}

std::string Supervisor::summary() const
{
    const auto all = streams();
    const auto streaming =
        std::count_if(all.begin(), all.end(), [](const cdc::StreamStatus& one) { return one.state == "streaming"; });
    return fmt::format("{} of {} nodes streaming", streaming, all.size());
}

std::vector<WorkerStatus> Supervisor::troubled() const
{
    const std::scoped_lock lock(mutex_);
    std::vector<WorkerStatus> found;
    const auto look = [&](const std::unique_ptr<Worker>& worker) {
        if (worker && worker->status().state != "running") {
            found.push_back(worker->status());
        }
    };
    for (const auto& [name, stream] : streams_) {
        look(stream.worker);
    }
    look(resharder_);
    look(projections_);
    look(references_);
    look(watcher_);
    return found;
}

} // namespace keyshift::daemon
