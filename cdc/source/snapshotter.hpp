#pragma once
/// Brings a node's existing rows into their topics while the stream goes on: works off keyshift.snapshot, part by part, on
/// its own thread. Every chunk is persisted once Kafka has it, so a restart goes on where it was.

#include "catalog/catalog.hpp"
#include "cdc/source/schema_reader.hpp"
#include "cdc/source/snapshot_window.hpp"
#include "cdc/source/snapshot_work.hpp"

#include <chrono>
#include <functional>
#include <stop_token>
#include <string>

namespace keyshift::cdc {

class Snapshotter {
public:
    /// `acknowledged` waits until Kafka has everything below an LSN; `wanted` tells (cheaply) whether there is work.
    using Acknowledged = std::function<bool(Lsn, std::chrono::milliseconds)>;
    Snapshotter(catalog::Node node, pg::ConnectionSettings catalog, SnapshotWindow& window, SchemaVersions& versions,
                Acknowledged acknowledged, std::function<bool()> wanted);

    /// Until stop; faults are logged and tried again.
    void run(std::stop_token stop);

private:
    void work(std::stop_token stop);
    void read_part(pg::Connection& catalog, SnapshotPart& part, bool first, bool last, std::stop_token stop);
    /// False: the chunk must be read again.
    bool carry(pg::Connection& marker, const std::shared_ptr<SnapshotChunk>& chunk, const std::function<void()>& read,
               std::stop_token stop);
    void mark(pg::Connection& marker, const std::string& type, const std::string& id);

    const catalog::Node node_;
    const pg::ConnectionSettings catalog_;
    SnapshotWindow& window_;
    SchemaVersions& versions_;
    const Acknowledged acknowledged_;
    const std::function<bool()> wanted_;
    std::string run_id_;
    std::uint64_t chunks_ = 0;
};

} // namespace keyshift::cdc
