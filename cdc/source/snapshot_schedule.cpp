#include "cdc/source/snapshot_schedule.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace keyshift::cdc {

void SnapshotSchedule::want(const std::vector<SnapshotPart>& parts)
{
    std::scoped_lock lock(mutex_);
    std::map<Id, std::string> wanted;
    for (const SnapshotPart& part : parts) {
        wanted[part.id()] = part.requested_at;
    }
    abandon([&](const Id& id) {
        const auto found = wanted.find(id);
        return found == wanted.end() || found->second != parts_.at(id).part.requested_at;
    });
    std::erase_if(tables_, [&](const auto& entry) {
        return std::ranges::none_of(parts_, [&](const auto& part) { return part.first.first == entry.first; });
    });
    for (const SnapshotPart& part : parts) {
        if (parts_.contains(part.id())) {
            continue;
        }
        std::shared_ptr<SnapshotTable>& table = tables_[part.table_id];
        if (!table) {
            table = new_table(part.condition.has_value());
        }
        if (part.begun) {
            table->begun = table->row_out = table->run->row_out = true;
        }
        Part& added = parts_[part.id()];
        added.part = part;
        added.note_unread(table);
    }
    changed_.notify_all();
}

std::shared_ptr<SnapshotTable> SnapshotSchedule::new_table(bool again)
{
    auto table = std::make_shared<SnapshotTable>();
    table->again = again;
    if (again) {
        table->run = std::make_shared<SnapshotRun>();
        return table;
    }
    if (!run_ || run_->left == 0) {
        run_ = std::make_shared<SnapshotRun>();
    }
    table->run = run_;
    return table;
}

void SnapshotSchedule::Part::note_unread(const std::shared_ptr<SnapshotTable>& of)
{
    const bool more = !source || !waiting.empty() || !reading.empty();
    if (more && !unread) {
        unread = Unpublished(of);
    } else if (!more) {
        unread.reset();
    }
}

void SnapshotSchedule::settle(SnapshotWindows& windows, const std::function<bool(std::uint64_t)>& delivered)
{
    std::scoped_lock lock(mutex_);
    for (const std::string& chunk : std::exchange(unwanted_, {})) {
        windows.moved().release(chunk);
    }
    std::erase_if(abandoned_, [&](const std::shared_ptr<SnapshotChunk>& chunk) {
        const bool settled = windows.fate(*chunk) != SnapshotChunk::Fate::pending;
        if (settled) {
            windows.moved().release(chunk->id);
            windows.forget(chunk);
        }
        return settled;
    });
    for (auto& [id, part] : parts_) {
        for (auto at = part.in_flight.begin(); at != part.in_flight.end();) {
            const std::shared_ptr<SnapshotChunk> chunk = *at;
            const SnapshotChunk::Fate fate = windows.fate(*chunk);
            const bool published = fate == SnapshotChunk::Fate::published;
            // Asked in this order: a delivery counts only if it was this session's.
            const bool arrived = published && delivered(chunk->records);
            const bool lost = published && windows.session() != chunk->session;
            if (fate == SnapshotChunk::Fate::pending || (published && !arrived && !lost)) {
                ++at;
                continue;
            }
            at = part.in_flight.erase(at);
            part.changed = true;
            windows.forget(chunk);
            read_moved(part, *chunk);
            if (fate == SnapshotChunk::Fate::again || lost) {
                part.waiting.push_front(chunk->range);
            } else {
                part.progress.rows += static_cast<std::int64_t>(chunk->row_count - chunk->partly.size());
                ++part.progress.chunks;
                if (!chunk->partly.empty()) {
                    part.waiting.emplace_front().keys = std::move(chunk->partly);
                }
            }
            part.note_unread(chunk->of);
        }
    }
    changed_.notify_all();
}

void SnapshotSchedule::read_moved(Part& part, SnapshotChunk& chunk)
{
    if (chunk.moved.all) {
        part.waiting.emplace_back();
    }
    if (!chunk.moved.keys.empty()) {
        part.waiting.emplace_front().keys = std::move(chunk.moved.keys);
    }
    part.chunks.push_back(chunk.id);
}

std::vector<SnapshotRange> SnapshotSchedule::left_of(const Part& part)
{
    std::vector<SnapshotRange> left(part.waiting.begin(), part.waiting.end());
    for (const auto& [number, range] : part.reading) {
        left.push_back(range);
    }
    for (const std::shared_ptr<SnapshotChunk>& chunk : part.in_flight) {
        left.push_back(chunk->range);
    }
    return left;
}

std::vector<SnapshotSchedule::Saving> SnapshotSchedule::take_progress()
{
    std::scoped_lock lock(mutex_);
    std::vector<Saving> all;
    std::vector<Id> finished;
    for (auto& [id, part] : parts_) {
        if (!part.source || !part.changed) {
            continue;
        }
        part.progress.left = left_of(part);
        all.push_back({part.part, std::exchange(part.progress, {}), std::exchange(part.chunks, {})});
        part.changed = false;
        if (part.finished()) {
            finished.push_back(id);
        }
    }
    for (const Id& id : finished) {
        const std::shared_ptr<const SnapshotSource> source = parts_.at(id).source;
        parts_.erase(id);
        if (std::ranges::none_of(parts_, [&](const auto& part) { return part.first.first == id.first; })) {
            tables_.erase(id.first);
            ended_.push_back(source);
        }
    }
    return all;
}

std::vector<std::shared_ptr<const SnapshotSource>> SnapshotSchedule::take_ended()
{
    std::scoped_lock lock(mutex_);
    return std::exchange(ended_, {});
}

void SnapshotSchedule::give_up(std::int64_t table_id)
{
    std::scoped_lock lock(mutex_);
    abandon([&](const Id& id) { return id.first == table_id; });
    tables_.erase(table_id);
    changed_.notify_all();
}

bool SnapshotSchedule::empty() const
{
    std::scoped_lock lock(mutex_);
    return parts_.empty();
}

std::optional<SnapshotSchedule::Task> SnapshotSchedule::take(std::stop_token stop)
{
    std::optional<Task> task;
    const auto find_work = [&] {
        if (stop.stop_requested()) {
            return false;
        }
        for (auto& [id, part] : parts_) {
            if (!part.source && !part.planning) {
                part.planning = true;
                task = Task{part.part, nullptr, {}, std::nullopt, ++tasks_};
                return true;
            }
            if (part.source && !part.waiting.empty()) {
                task = Task{part.part, part.source, part.shape, part.waiting.front(), ++tasks_};
                part.waiting.pop_front();
                part.reading[task->number] = *task->range;
                return true;
            }
        }
        return false;
    };
    std::unique_lock lock(mutex_);
    changed_.wait(lock, stop, find_work);
    return task;
}

void SnapshotSchedule::abandon(const std::function<bool(const Id&)>& which)
{
    for (auto entry = parts_.begin(); entry != parts_.end();) {
        if (which(entry->first)) {
            abandoned_.splice(abandoned_.end(), entry->second.in_flight);
            std::ranges::move(entry->second.chunks, std::back_inserter(unwanted_));
            entry = parts_.erase(entry);
        } else {
            ++entry;
        }
    }
}

SnapshotSchedule::Part* SnapshotSchedule::find(const Task& task)
{
    const auto found = parts_.find(task.part.id());
    return found == parts_.end() || found->second.part.requested_at != task.part.requested_at ? nullptr
                                                                                              : &found->second;
}

void SnapshotSchedule::planned(const Task& task, SnapshotPlan plan)
{
    std::scoped_lock lock(mutex_);
    if (Part* part = find(task)) {
        part->planning = false;
        part->source = std::move(plan.source);
        part->shape = std::move(plan.shape);
        part->waiting.assign(plan.ranges.begin(), plan.ranges.end());
        part->progress.estimate = plan.estimate;
        part->changed = true;
        part->note_unread(tables_.at(task.part.table_id));
        changed_.notify_all();
    }
}

bool SnapshotSchedule::cut(const Task& task, const std::shared_ptr<SnapshotChunk>& chunk,
                           std::optional<SnapshotRange> rest)
{
    std::scoped_lock lock(mutex_);
    Part* part = find(task);
    if (part == nullptr || !part->reading.contains(task.number)) {
        abandoned_.push_back(chunk);
        return false;
    }
    if (rest) {
        part->reading[task.number] = std::move(*rest);
    } else {
        part->reading.erase(task.number);
        part->note_unread(chunk->of);
    }
    part->in_flight.push_back(chunk);
    return true;
}

void SnapshotSchedule::give_back(const Task& task)
{
    std::scoped_lock lock(mutex_);
    if (Part* part = find(task)) {
        part->planning = false;
        if (const auto rest = part->reading.find(task.number); rest != part->reading.end()) {
            part->waiting.push_front(std::move(rest->second));
            part->reading.erase(rest);
        }
        changed_.notify_all();
    }
}

void SnapshotSchedule::start_over(const Task& task)
{
    std::scoped_lock lock(mutex_);
    if (Part* part = find(task); part != nullptr && part->source == task.source) {
        part->source.reset();
        part->part.ranges.reset();
        part->planning = false;
        part->waiting.clear();
        part->reading.clear();
        part->note_unread(tables_.at(task.part.table_id));
        abandoned_.splice(abandoned_.end(), part->in_flight);
        changed_.notify_all();
    }
}

std::shared_ptr<SnapshotTable> SnapshotSchedule::table_of(const Task& task)
{
    std::scoped_lock lock(mutex_);
    const auto found = tables_.find(task.part.table_id);
    return found == tables_.end() ? new_table(true) : found->second;
}

} // namespace keyshift::cdc
