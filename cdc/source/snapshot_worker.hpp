#pragma once
/// Reads ranges of the schedule on its own thread and two connections: one for rows, one for the markers around them.

#include "catalog/catalog.hpp"
#include "cdc/source/snapshot_schedule.hpp"
#include "cdc/source/snapshot_window.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

namespace keyshift::cdc {

class SnapshotWorker {
public:
    /// `failed` is told of a table whose rows cannot be read.
    using Failed = std::function<void(const SnapshotPart&, const ErrorParts&)>;
    /// `chunk_prefix`: what the ids of this worker's chunks begin with, unlike any other's.
    SnapshotWorker(const catalog::Node& node, SnapshotSchedule& schedule, SnapshotWindows& windows,
                   SchemaVersions& versions, std::string chunk_prefix, Failed failed);

    /// Until stop; what passes by itself is logged and tried again.
    void run(std::stop_token stop);

private:
    struct Session;
    void work(const SnapshotSchedule::Task& task, std::stop_token stop);
    void plan(const SnapshotSchedule::Task& task, std::stop_token stop);
    void read(const SnapshotSchedule::Task& task, std::stop_token stop);
    std::shared_ptr<SnapshotChunk> next_chunk(const SnapshotSchedule::Task& task);
    /// Writes a marker for the end of one chunk, the beginning of the next, or both.
    void mark(const SnapshotChunk* high, const SnapshotChunk* low, std::stop_token stop);
    bool columns_changed(const SnapshotSchedule::Task& task);
    Session& session();

    const catalog::Node& node_;
    SnapshotSchedule& schedule_;
    SnapshotWindows& windows_;
    SchemaVersions& versions_;
    const std::string chunk_prefix_;
    const Failed failed_;
    std::uint64_t chunks_ = 0;
    std::shared_ptr<Session> session_;
};

} // namespace keyshift::cdc
