#pragma once
/// Brings a node's existing rows into their topics while the stream goes on: works off keyshift.snapshot with several
/// workers. Progress is saved by the chunk, once Kafka has its rows, so a restart goes on where it was.

#include "catalog/catalog.hpp"
#include "cdc/source/schema_reader.hpp"
#include "cdc/source/snapshot_schedule.hpp"
#include "cdc/source/snapshot_window.hpp"
#include "cdc/source/snapshot_work.hpp"

#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

namespace keyshift::cdc {

class Snapshotter {
public:
    struct Options {
        int workers = 2; ///< that read at the same time
        /// Tells whether Kafka has so many of the records that the publisher was given.
        std::function<bool(std::uint64_t)> delivered;
        /// Tells (cheaply) whether there is work.
        std::function<bool()> wanted;
    };
    Snapshotter(catalog::Node node, pg::ConnectionSettings catalog, SnapshotWindows& windows, SchemaVersions& versions,
                Options options);

    /// Until stop; faults are logged and tried again.
    void run(std::stop_token stop);

private:
    using Failures = std::vector<std::pair<SnapshotPart, ErrorParts>>;

    void work(std::stop_token stop);
    /// Reads from the catalog what is wanted. False: nothing is left.
    bool look_up(pg::Connection& catalog, SnapshotSchedule& schedule);
    /// False: the catalog wants something else by now.
    bool save(pg::Connection& catalog, SnapshotSchedule& schedule, std::stop_token stop);
    void save_failures(pg::Connection& catalog, SnapshotSchedule& schedule);

    const catalog::Node node_;
    const pg::ConnectionSettings catalog_;
    SnapshotWindows& windows_;
    SchemaVersions& versions_;
    const Options options_;
    std::string run_id_;
    std::mutex mutex_;
    Failures failures_; ///< guarded by mutex_
};

} // namespace keyshift::cdc
