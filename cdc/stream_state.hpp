#pragma once
/// What one node's stream keeps across its connections, and what other threads may ask of it.

#include "cdc/node_stream.hpp"
#include "cdc/publish/event_publisher.hpp"
#include "cdc/source/catalog_link.hpp"
#include "cdc/source/reading_mode.hpp"
#include "cdc/source/schema_history.hpp"
#include "cdc/source/schema_reader.hpp"
#include "cdc/source/snapshot_window.hpp"
#include "cdc/source/subscriptions.hpp"
#include "cdc/wake.hpp"

#include "metrics/families.hpp"
#include <atomic>
#include <functional>

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>

namespace keyshift::cdc {

class StreamState {
public:
    StreamState(catalog::Node node, CdcOptions options, metrics::CdcMetrics& metrics);

    const catalog::Node node;
    const CdcOptions options;
    metrics::CdcMetrics& metrics;
    Wake wake;
    SchemaVersions versions{0};
    SchemaHistory history;
    Subscriptions subscriptions;
    SnapshotWindows windows;
    SizeLimits size_limits;
    PartitionCounts partition_counts;

    // The stream's thread.
    /// Makes the publisher where there is none, the old one is dead, or the server has gone on to another timeline.
    EventPublisher& ensure_publisher(std::uint32_t timeline);
    /// Shuts older publishers of this stream out, once for each publisher.
    void take_over();
    /// Reads Kafka's position from the control topic, once for each publisher: while it lives nobody else adds to it. One on
    /// another timeline counts up to where the present one, with these ancestors, left it; `otherwise` where it did not.
    void learn_position(const std::map<std::uint32_t, Lsn>& ancestors, Lsn otherwise);
    /// Kafka has changes that the server has lost since; until a gap record says so.
    bool server_lost_changes = false;
    /// Kafka's position as far as it is known, for checks and messages: whoever has the slot may be adding to it.
    std::optional<Lsn> progress_so_far() const;
    /// Everything below this is in Kafka or with the living publisher: a replay skips it.
    Lsn handed_over;
    /// The newest timeline that the server is known to have been on since the gap that was accepted last, which may have taken
    /// it back to an older one; 0: none.
    std::uint32_t known_timeline(std::uint32_t of_catalog, Lsn gap_accepted);
    /// Called while the publisher waits for room; set by the session that runs.
    std::function<void()> on_wait;
    std::optional<std::chrono::steady_clock::time_point> slot_busy_since;
    /// Whether this daemon is the one that works; may be empty.
    std::function<bool()> holds_claim;
    ReadingMode reading;
    Lsn publication_sound_until; ///< as ControlSession last saw it

    /// How many of dead_letters() the catalog's row counts; the catalog link's thread.
    std::uint64_t dead_letters_written = 0;

    // Any thread.
    /// The server's as last checked; the catalog's row follows.
    std::atomic<std::uint32_t> present_timeline = 0;
    /// The accepted gap that present_timeline is behind: set after it, and to be read before it.
    std::atomic<Lsn> behind_gap = Lsn{};
    std::shared_ptr<EventPublisher> publisher() const;
    /// Everything below this is in Kafka.
    Lsn acknowledged() const;
    /// Kafka's position as its newest progress record has it; nullopt: there is none yet.
    std::optional<Lsn> recorded() const;
    /// Records that went to the dead-letter topic since this was made.
    std::uint64_t dead_letters() const;
    bool wait_acknowledged(Lsn lsn, std::chrono::milliseconds wait) const;
    bool wait_recorded(Lsn lsn, std::chrono::milliseconds wait) const;
    /// Kafka has so many of the records that the present publisher was given.
    bool delivered(std::uint64_t records) const;
    StreamStatus status() const;
    void set_state(std::string state, std::optional<ErrorParts> error = {});
    void update(const std::function<void(StreamStatus&)>& change);

private:
    /// Calls whatever on_wait is then.
    std::function<void()> waiting() const;

    mutable std::mutex mutex_;
    std::shared_ptr<EventPublisher> publisher_;
    Lsn floor_;                             ///< acknowledged before publisher_ was made
    Lsn recorded_floor_;                    ///< recorded before publisher_ was made
    std::uint64_t dead_letters_before_ = 0; ///< publisher_ was made
    std::uint32_t timeline_ = 0;            ///< of publisher_ and of both; the stream's thread
    bool position_known_ = false;           ///< the stream's thread
    bool taken_over_ = false;               ///< the stream's thread
    StreamStatus status_;
};

} // namespace keyshift::cdc
