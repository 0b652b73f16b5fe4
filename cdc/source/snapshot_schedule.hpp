#pragma once
/// The parts that are being read, shared by the snapshot's workers and the snapshotter, which settles and saves. At every
/// moment a part's unread ranges, the rests of ranges under way and the chunks in flight together are what is left of it.

#include "cdc/source/snapshot_planner.hpp"
#include "cdc/source/snapshot_window.hpp"

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>
#include <vector>

namespace keyshift::cdc {

class SnapshotSchedule {
public:
    /// A range that a worker reads, or a part (no range) that it plans.
    struct Task {
        SnapshotPart part;
        std::shared_ptr<const SnapshotSource> source;
        std::string shape;
        std::optional<SnapshotRange> range;
        std::uint64_t number = 0; ///< of the range under way
    };
    /// To be saved. What is done or not wanted any more is forgotten when it was handed out.
    struct Saving {
        SnapshotPart part;
        PartProgress progress;
        std::vector<std::string> chunks; ///< MovedRows is to release what they took, once this is saved
    };

    // The snapshotter.
    /// Parts that the catalog wants read: new ones are added, those that it no longer names are given up.
    void want(const std::vector<SnapshotPart>& parts);
    /// Takes note of the fates of chunks; `delivered` tells whether Kafka has so many records.
    void settle(SnapshotWindows& windows, const std::function<bool(std::uint64_t)>& delivered);
    std::vector<Saving> take_progress();
    /// Tables of which everything is in the topic since the last call.
    std::vector<std::shared_ptr<const SnapshotSource>> take_ended();
    void give_up(std::int64_t table_id);
    bool empty() const;

    // The workers.
    /// Waits for work; nullopt: stop.
    std::optional<Task> take(std::stop_token stop);
    void planned(const Task& task, SnapshotPlan plan);
    /// A chunk was read off the task's range; `rest` is what remains of it. False: the task is wanted no more.
    bool cut(const Task& task, const std::shared_ptr<SnapshotChunk>& chunk, std::optional<SnapshotRange> rest);
    /// The task was not finished: what is left of it is taken again.
    void give_back(const Task& task);
    /// As give_back; all of the part is planned and read anew.
    void start_over(const Task& task);
    std::shared_ptr<SnapshotTable> table_of(const Task& task);

private:
    struct Part {
        SnapshotPart part;
        std::shared_ptr<const SnapshotSource> source;
        std::string shape;
        bool planning = false;
        std::deque<SnapshotRange> waiting;
        std::map<std::uint64_t, SnapshotRange> reading; ///< by the task's number: rests
        std::list<std::shared_ptr<SnapshotChunk>> in_flight;
        PartProgress progress; ///< not saved yet; `left` is made when it is saved
        bool changed = false;
        std::vector<std::string> chunks; ///< that took moved rows
        Unpublished unread;              ///< while it is to be planned or has ranges to be read

        void note_unread(const std::shared_ptr<SnapshotTable>& of);
        bool finished() const { return source && waiting.empty() && reading.empty() && in_flight.empty(); }
    };
    using Id = std::pair<std::int64_t, std::uint32_t>;

    Part* find(const Task& task);
    /// These parts are wanted no more.
    void abandon(const std::function<bool(const Id&)>& which);
    static void read_moved(Part& part, SnapshotChunk& chunk);
    std::shared_ptr<SnapshotTable> new_table(bool again);
    static std::vector<SnapshotRange> left_of(const Part& part);

    mutable std::mutex mutex_;
    std::condition_variable_any changed_;
    std::map<Id, Part> parts_;
    std::map<std::int64_t, std::shared_ptr<SnapshotTable>> tables_;
    std::shared_ptr<SnapshotRun> run_; ///< the newest of initial snapshots
    std::vector<std::shared_ptr<const SnapshotSource>> ended_;
    std::list<std::shared_ptr<SnapshotChunk>> abandoned_; ///< until the windows have forgotten them
    std::vector<std::string> unwanted_;                   ///< chunks of parts given up that took moved rows
    std::uint64_t tasks_ = 0;
};

} // namespace keyshift::cdc
