#include "tests/projections/histories/history_worker.hpp"

#include <algorithm>
#include <utility>

namespace keyshift::test {

using projections::BaseRow;
using projections::Offsets;
using projections::RowChange;

History::Positions History::ends() const
{
    Positions ends{};
    for (std::size_t partition = 0; partition < ends.size(); ++partition) {
        ends[partition] = static_cast<std::int64_t>(source_.partition(static_cast<int>(partition)).size());
    }
    return ends;
}

History::Positions History::positions() const
{
    Positions positions{};
    for (std::size_t partition = 0; partition < positions.size(); ++partition) {
        std::vector<std::optional<std::int64_t>> known;
        for (const ModelNode& node : nodes_.all()) {
            const auto found = node.progress.find(static_cast<int>(partition));
            known.push_back(found == node.progress.end() ? std::nullopt : std::optional(found->second.next));
        }
        positions[partition] = rules_.position_of(known, record_.start.value()[partition]);
    }
    return positions;
}

/// As ProjectionRunner::run begins.
void History::start_worker()
{
    if (!record_.start) {
        record_.start = ends();
    }
    std::int64_t highest = 0;
    for (const ModelNode& node : nodes_.all()) {
        for (const auto& [partition, progress] : node.progress) {
            highest = std::max(highest, progress.owner);
        }
    }
    const std::int64_t owner = rules_.next_owner_epoch(highest, record_.id);
    worker_ = std::make_unique<Worker>(nodes_, record_, owner);
    worker_->next = positions();
    for (ModelNode& node : nodes_.all()) {
        for (auto& [partition, progress] : node.progress) {
            progress.owner = owner;
        }
        for (std::size_t partition = 0; partition < kPartitions && rules_.anchors; ++partition) {
            const Progress anchor{worker_->next[partition], owner};
            const auto [at, added] = node.progress.try_emplace(static_cast<int>(partition), anchor);
            if (!added && rules_.anchors_all) {
                at->second = anchor;
            }
        }
        if (rules_.anchors_all) {
            node.flush();
        }
    }
}

/// As BatchWriter does: the source has the value, or something newer whose own event is still to come.
void History::fill_absent(RowChange& change) const
{
    const auto row = source_.rows().find(std::stoi(change.base[kId].value()));
    for (const std::size_t column : change.absent) {
        change.base[column] =
            row == source_.rows().end() ? std::nullopt : std::optional(std::to_string(row->second.amount));
    }
}

/// Partitions stand anywhere beside each other. Moves `next` on.
std::vector<RowChange> History::read_batch(Worker& worker, Positions& next, bool all)
{
    std::vector<RowChange> changes;
    for (std::size_t partition = 0; partition < next.size(); ++partition) {
        const auto& records = source_.partition(static_cast<int>(partition));
        const int most = all ? 64 : pick(random_, 8);
        for (int taken = 0; taken < most && static_cast<std::size_t>(next[partition]) < records.size(); ++taken) {
            const projections::Mapped mapped = worker.mapper.map(records[static_cast<std::size_t>(next[partition]++)]);
            const auto* rejection = std::get_if<projections::Rejection>(&mapped);
            for (const RowChange& change :
                 rejection != nullptr ? rejection->left : std::get<std::vector<RowChange>>(mapped)) {
                if (change.live || rules_.old_key_leaves ||
                    records[static_cast<std::size_t>(next[partition] - 1)].value->ends_with("\"d\"}")) {
                    changes.push_back(change);
                }
            }
        }
    }
    for (RowChange& change : changes) {
        fill_absent(change);
    }
    return changes;
}

void History::apply(Worker& worker, bool all)
{
    Positions next = worker.next;
    std::vector<RowChange> changes = read_batch(worker, next, all);
    if (next == worker.next) {
        worker.writer.tell();
        return;
    }
    Offsets progress;
    for (std::size_t partition = 0; partition < next.size(); ++partition) {
        if (next[partition] != worker.next[partition]) {
            progress[{"app.public.t", static_cast<std::int32_t>(partition)}] = next[partition];
        }
    }
    worker.writer.write(std::move(changes), progress);
    worker.next = next;
}

/// A bucket's rows in one snapshot, as of now.
void History::begin_bucket(Worker& worker)
{
    for (int bucket = 0; bucket < ModelSource::kBuckets; ++bucket) {
        if (worker.backfilled.contains(bucket)) {
            continue;
        }
        worker.bucket = bucket;
        for (const auto& [id, row] : source_.rows()) {
            if (const BaseRow base = source_.base_row(id, row);
                id % ModelSource::kBuckets == bucket && worker.definition.shows(base)) {
                SourcePosition version;
                if (!rules_.backfill_is_oldest) {
                    version = source_.now(id);
                    version.commit_lsn.value += 100;
                }
                worker.rows.push_back({base, version, true, {}, {}});
            }
        }
        return;
    }
}

void History::fill(Worker& worker)
{
    if (!worker.bucket) {
        begin_bucket(worker);
    } else if (worker.rows.empty()) {
        worker.backfilled.insert(*worker.bucket);
        if (worker.id == record_.id) {
            record_.backfilled.insert(*worker.bucket);
        }
        worker.bucket.reset();
    } else {
        const std::size_t taken = std::min<std::size_t>(worker.rows.size(), 3);
        std::vector<RowChange> piece(worker.rows.end() - static_cast<std::ptrdiff_t>(taken), worker.rows.end());
        worker.filler.write(std::move(piece), {});
        worker.rows.resize(worker.rows.size() - taken);
    }
}

void History::bury(bool sleeps)
{
    constexpr std::size_t kMost = 3;
    if (worker_ && sleeps) {
        sleepers_.push_back(std::move(worker_));
        if (sleepers_.size() > kMost) {
            sleepers_.pop_front();
        }
    }
    worker_.reset();
}

} // namespace keyshift::test
