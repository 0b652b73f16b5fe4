#include "cdc/source/snapshot_worker.hpp"

#include "core/backoff.hpp"
#include "core/failpoint.hpp"
#include "core/log.hpp"

#include <fmt/core.h>
#include <utility>

namespace keyshift::cdc {

namespace {

constexpr std::chrono::milliseconds kFirstPause{100};
constexpr std::chrono::seconds kLongestPause{10};

pg::Connection rows_connection(const catalog::Node& node)
{
    pg::Connection connection(node.connection("cdc snapshot"));
    // Each chunk is a piece of an index or of the heap, never the whole table sorted.
    connection.script("SET enable_seqscan = off; SET enable_sort = off; SET enable_bitmapscan = off; SET jit = off; "
                      "SET max_parallel_workers_per_gather = 0");
    return connection;
}

} // namespace

struct SnapshotWorker::Session {
    Session(const catalog::Node& node, SchemaVersions& versions)
        : rows(rows_connection(node)), marker(node.connection("cdc snapshot markers")), schemas(rows, versions)
    {
    }
    pg::Connection rows;
    pg::Connection marker;
    SchemaReader schemas;
};

SnapshotWorker::SnapshotWorker(const catalog::Node& node, SnapshotSchedule& schedule, SnapshotWindows& windows,
                               SchemaVersions& versions, std::string chunk_prefix, Failed failed)
    : node_(node), schedule_(schedule), windows_(windows), versions_(versions), chunk_prefix_(std::move(chunk_prefix)),
      failed_(std::move(failed))
{
}

void SnapshotWorker::run(std::stop_token stop)
{
    Backoff backoff(kFirstPause, kLongestPause);
    while (const auto task = schedule_.take(stop)) {
        try {
            work(*task, stop);
            backoff.reset();
        } catch (const TableChanged&) {
            schedule_.start_over(*task);
        } catch (const Error& error) {
            session_.reset();
            schedule_.give_back(*task);
            if (!stop.stop_requested()) {
                log::warning("cdc", "node={} reading existing rows into the topic is tried again: {}", node_.name,
                             error.what());
                backoff.wait(stop);
            }
        }
    }
}

SnapshotWorker::Session& SnapshotWorker::session()
{
    if (!session_) {
        session_ = std::make_shared<Session>(node_, versions_);
    }
    return *session_;
}

void SnapshotWorker::work(const SnapshotSchedule::Task& task, std::stop_token stop)
{
    try {
        task.range ? read(task, stop) : plan(task, stop);
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::transient || error.kind() == ErrorKind::unreachable) {
            throw;
        }
        if (task.range && columns_changed(task)) {
            throw TableChanged(error.parts());
        }
        failed_(task.part, error.parts());
    }
}

void SnapshotWorker::plan(const SnapshotSchedule::Task& task, std::stop_token stop)
{
    schedule_.planned(task, plan_snapshot(session().rows, session().schemas, task.part, std::move(stop)));
}

std::shared_ptr<SnapshotChunk> SnapshotWorker::next_chunk(const SnapshotSchedule::Task& task)
{
    auto chunk = std::make_shared<SnapshotChunk>();
    chunk->id = fmt::format("{}-{}", chunk_prefix_, ++chunks_);
    chunk->source = task.source;
    chunk->of = schedule_.table_of(task);
    chunk->unpublished = Unpublished(chunk->of);
    windows_.expect(chunk);
    return chunk;
}

void SnapshotWorker::read(const SnapshotSchedule::Task& task, std::stop_token stop)
{
    ChunkReader reader(session().rows, task.source,
                       fmt::format("({}\n) AND ({}\n)", task.part.condition.value_or("true"), task.part.filter),
                       task.shape);
    std::optional<SnapshotRange> range = task.range;
    std::shared_ptr<SnapshotChunk> previous;
    std::shared_ptr<SnapshotChunk> chunk;
    try {
        while (range) {
            if (previous && !windows_.room()) {
                // It must go out to make room.
                mark(previous.get(), nullptr, stop);
                previous.reset();
            }
            if (!windows_.wait_room(stop)) {
                throw TransientError({"reading rows for the topic", "a stop was requested", ""});
            }
            chunk = next_chunk(task);
            mark(previous.get(), chunk.get(), stop);
            previous.reset();
            reader.read(range, *chunk, stop);
            windows_.fill(chunk);
            if (!schedule_.cut(task, chunk, range)) {
                range.reset();
            }
            previous = std::exchange(chunk, nullptr);
        }
        mark(previous.get(), nullptr, stop);
    } catch (...) {
        // A chunk without its high marker is read again.
        for (const auto& unfinished : {chunk, previous}) {
            if (unfinished) {
                windows_.forget(unfinished);
            }
        }
        throw;
    }
}

void SnapshotWorker::mark(const SnapshotChunk* high, const SnapshotChunk* low, std::stop_token stop)
{
    std::string sql;
    failpoint("cdc.snapshot.marker");
    for (const auto& [type, chunk] : {std::pair("snapshot_high", high), std::pair("snapshot_low", low)}) {
        if (chunk != nullptr) {
            sql += fmt::format(
                "{} pg_catalog.pg_logical_emit_message(true, 'keyshift', '{{\"type\":\"{}\",\"id\":\"{}\"}}')",
                sql.empty() ? "SELECT" : ",", type, chunk->id);
        }
    }
    // A commit may wait for a standby for ever.
    const std::stop_callback cancel(stop, [this] { session().marker.cancel(); });
    session().marker.query(sql);
}

bool SnapshotWorker::columns_changed(const SnapshotSchedule::Task& task)
{
    const auto facts = table_facts(session().rows, task.source->relation->name);
    return !facts || facts->shape != task.shape;
}

} // namespace keyshift::cdc
