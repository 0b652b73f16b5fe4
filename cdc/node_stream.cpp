#include "cdc/node_stream.hpp"

#include "cdc/source/snapshotter.hpp"
#include "cdc/status_row.hpp"
#include "cdc/stream_session.hpp"
#include "cdc/topic_rows.hpp"
#include "core/backoff.hpp"
#include "core/log.hpp"

#include <thread>

namespace keyshift::cdc {

namespace {

/// For keyshift_cdc_reconnects_total.
std::string_view reason_of(const Error& error)
{
    if (const auto* sql = dynamic_cast<const pg::TransientSqlError*>(&error)) {
        return sql->sqlstate() == "55006" ? "slot_busy" : "postgres";
    }
    return error.kind() == ErrorKind::unreachable ? "unreachable" : "transient";
}

bool passes_by_itself(const Error& error)
{
    return error.kind() == ErrorKind::transient || error.kind() == ErrorKind::unreachable;
}

} // namespace

struct NodeStream::State {
    State(catalog::Node node, pg::ConnectionSettings catalog, CdcOptions options, metrics::CdcMetrics& metrics)
        : catalog_settings(std::move(catalog)), stream(std::move(node), std::move(options), metrics)
    {
    }

    void stream_until(std::stop_token stop, CatalogLink& catalog);
    void fail(const Error& error);

    pg::ConnectionSettings catalog_settings;
    StreamState stream;
    mutable std::mutex mutex;
    CatalogLink* link = nullptr; ///< while run() runs
};

NodeStream::NodeStream(catalog::Node node, pg::ConnectionSettings catalog, CdcOptions options,
                       metrics::CdcMetrics& metrics)
    : state_(std::make_unique<State>(std::move(node), std::move(catalog), std::move(options), metrics))
{
}

NodeStream::~NodeStream() = default;

void NodeStream::run(std::stop_token stop)
{
    StreamState& stream = state_->stream;
    stream.subscriptions.start();
    stream.size_limits.forget();
    stream.set_state("starting");
    CatalogLink link(
        state_->catalog_settings, stream.node.name,
        [&stream, topics_known = false](pg::Connection& catalog) mutable {
            if (!topics_known) {
                read_topic_rows(catalog, stream.partition_counts);
                topics_known = true;
            }
            write_topic_rows(catalog, stream.partition_counts);
            stream.history.exchange(catalog);
            const std::uint64_t letters = stream.dead_letters();
            write_status_row(catalog, stream.status(), letters - stream.dead_letters_written);
            stream.dead_letters_written = letters;
            const Lsn behind_gap = stream.behind_gap;
            write_timeline(catalog, stream.node.name, stream.present_timeline, behind_gap);
        },
        [&stream] { stream.wake.signal(); });
    const std::stop_callback on_stop(stop, [&stream] { stream.wake.signal(); });
    {
        std::scoped_lock lock(state_->mutex);
        state_->link = &link;
    }
    try {
        state_->stream_until(stop, link);
        stream.metrics.connected.set(0);
        stream.set_state("stopped");
        stream.subscriptions.stop(
            {"the change stream of " + stream.node.name, "it was stopped", "It goes on when the daemon runs."});
    } catch (const Error& error) {
        state_->fail(error);
        std::scoped_lock lock(state_->mutex);
        state_->link = nullptr;
        throw;
    }
    std::scoped_lock lock(state_->mutex);
    state_->link = nullptr;
}

void NodeStream::State::stream_until(std::stop_token stop, CatalogLink& catalog)
{
    const auto delivered = [this](std::uint64_t records) {
        return stream.delivered(records);
    };
    const auto wanted = [&catalog] {
        const auto view = catalog.view();
        return view && !view->snapshotting.empty();
    };
    const std::jthread snapshots([&, this](std::stop_token snapshot_stop) {
        Snapshotter(stream.node, catalog_settings, stream.windows, stream.versions,
                    {stream.options.snapshot_workers, delivered, wanted})
            .run(snapshot_stop);
    });
    Backoff backoff(std::chrono::milliseconds(100), std::chrono::seconds(5));
    while (!stop.stop_requested()) {
        try {
            StreamSession session(stream, catalog, stop);
            backoff.reset();
            session.run();
        } catch (const Error& error) {
            stream.metrics.connected.set(0);
            if (!passes_by_itself(error)) {
                throw;
            }
            if (stop.stop_requested()) {
                return;
            }
            stream.metrics.reconnects(reason_of(error)).add();
            stream.set_state("waiting", error.parts());
            log::warning("cdc", "node={} the stream broke and is tried again: {}", stream.node.name, error.what());
            backoff.wait(stop);
        }
    }
}

void NodeStream::State::fail(const Error& error)
{
    log::error("cdc", "node={} the stream has stopped: {}", stream.node.name, error.what());
    stream.metrics.connected.set(0);
    stream.set_state("stopped", error.parts());
    stream.subscriptions.stop(error.parts());
}

void NodeStream::end_older_reader_when(std::function<bool()> holds_claim)
{
    state_->stream.holds_claim = std::move(holds_claim);
}

StreamStatus NodeStream::status() const
{
    return state_->stream.status();
}

std::unique_ptr<Subscription> NodeStream::subscribe(std::int64_t move, const std::string& group, BucketId bucket,
                                                    std::optional<Lsn> from)
{
    return state_->stream.subscriptions.subscribe({move, group, bucket}, from);
}

bool NodeStream::wait_acknowledged(Lsn lsn, std::chrono::milliseconds wait)
{
    return state_->stream.wait_acknowledged(lsn, wait);
}

bool NodeStream::wait_recorded(Lsn lsn, std::chrono::milliseconds wait)
{
    return state_->stream.wait_recorded(lsn, wait);
}

bool NodeStream::healthy() const
{
    const auto publisher = state_->stream.publisher();
    return publisher && !publisher->failure() && publisher->broker_error().empty() &&
           state_->stream.status().state == "streaming";
}

void NodeStream::placement_changed()
{
    std::scoped_lock lock(state_->mutex);
    if (state_->link != nullptr) {
        state_->link->refresh();
    }
}

} // namespace keyshift::cdc
