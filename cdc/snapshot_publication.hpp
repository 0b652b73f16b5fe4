#pragma once
/// Hands the rows of snapshot chunks to the publisher, a slice at a time between the stream's own events. The stream's thread.

#include "cdc/publish/event_publisher.hpp"
#include "cdc/source/snapshot_window.hpp"

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

private:
    struct Entry {
        std::shared_ptr<SnapshotChunk> chunk;
        std::optional<EventContext> context;
        std::size_t next = 0; ///< row
    };
    void publish_slice(Entry& entry, EventPublisher& publisher);
    void begin_table(const Entry& entry, EventPublisher& publisher);

    const std::string node_;
    SnapshotWindows& windows_;
    const Form form_;
    std::deque<Entry> chunks_;
    Change change_;
};

} // namespace keyshift::cdc
