#pragma once
/// Hands the rows of snapshot chunks to the publisher, a slice at a time between the stream's own events. The stream's thread.
///
/// source.snapshot is that of Debezium, in the order in which rows go out: `first` and `last` of the initial snapshot,
/// first_in_data_collection and last_in_data_collection of a table, `true` between. So a row goes out when it is known
/// whether another follows: each one behind the next, a chunk's last one (of initial snapshots) when the next chunk has a row
/// to publish or nothing is left to be read.

#include "cdc/publish/event_publisher.hpp"
#include "cdc/source/snapshot_window.hpp"

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace keyshift::cdc {

class SnapshotPublication {
public:
    /// `form` gives the table as its events show it now.
    using Form = std::function<std::shared_ptr<const TableSchema>(const SnapshotSource&)>;
    SnapshotPublication(std::string node, SnapshotWindows& windows, Form form)
        : node_(std::move(node)), windows_(windows), form_(std::move(form))
    {
    }

    /// A session begins: what its publisher was given before may be rows.
    void begin(const EventPublisher& publisher) { sent_ = publisher.handed_over(); }
    /// The high marker of a chunk has come. `context` is of the marker's transaction; nullopt: the rows are not this node's
    /// to publish.
    void add(std::shared_ptr<SnapshotChunk> chunk, std::optional<EventContext> context);
    enum class Turn {
        nothing, ///< there are no rows
        full,    ///< the publisher has enough: later
        rows     ///< a slice went out
    };
    /// `position`: everything below it has been read from the stream.
    Turn publish(EventPublisher& publisher, Lsn position);
    /// Kafka has all rows that went out.
    bool delivered(const EventPublisher& publisher) const { return publisher.delivered(sent_); }

private:
    struct Entry {
        std::shared_ptr<SnapshotChunk> chunk;
        std::optional<EventContext> context;
        std::size_t next = 0; ///< row
        /// A row that is to go out, not yet published.
        std::optional<std::size_t> held = {};
        Tuple held_row = {};
    };
    using Clock = std::chrono::steady_clock;

    void publish_slice(Entry& entry, EventPublisher& publisher);
    void publish_held(Entry& entry, const TableSchema& form, EventPublisher& publisher, bool last_of_chunk);
    /// Every row but the held one is out, or left out.
    void finish(Entry entry, EventPublisher& publisher);
    /// The chunk has nothing left to publish but its held row, if any.
    void complete(Entry entry, EventPublisher& publisher);
    void complete_parked(EventPublisher& publisher);
    /// False: the chunk is read again.
    bool still_valid(Entry& entry);
    void begin_table(const Entry& entry, EventPublisher& publisher);

    const std::string node_;
    SnapshotWindows& windows_;
    const Form form_;
    std::deque<Entry> chunks_;
    std::optional<Entry> parked_; ///< a chunk with nothing but a held row
    Clock::time_point parked_until_;
    std::uint64_t sent_ = 0; ///< records handed over when the last row went out
    Change change_;
    Tuple row_;
};

} // namespace keyshift::cdc
