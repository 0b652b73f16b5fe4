#include "cdc/source/snapshotter.hpp"

#include "cdc/source/chunk_reader.hpp"
#include "core/backoff.hpp"
#include "core/failpoint.hpp"
#include "core/log.hpp"

#include <fmt/core.h>
#include <random>

namespace keyshift::cdc {

namespace {

void throw_if(std::stop_token stop)
{
    if (stop.stop_requested()) {
        throw TransientError({"reading rows for the topic", "a stop was requested", ""});
    }
}

} // namespace

Snapshotter::Snapshotter(catalog::Node node, pg::ConnectionSettings catalog, SnapshotWindow& window,
                         SchemaVersions& versions, Acknowledged acknowledged, std::function<bool()> wanted)
    : node_(std::move(node)), catalog_(std::move(catalog)), window_(window), versions_(versions),
      acknowledged_(std::move(acknowledged)), wanted_(std::move(wanted))
{
    // Markers of an earlier run that are still in the WAL mean nothing to this one.
    std::random_device random;
    run_id_ = fmt::format("{:08x}{:08x}", random(), random());
}

void Snapshotter::run(std::stop_token stop)
{
    Backoff backoff(std::chrono::milliseconds(500), std::chrono::seconds(10));
    while (sleep_for(std::chrono::milliseconds(200), stop)) {
        if (!wanted_()) {
            continue;
        }
        try {
            work(stop);
            backoff.reset();
        } catch (const Error& error) {
            if (!stop.stop_requested()) {
                log::warning("cdc", "node={} reading existing rows into the topic is tried again: {}", node_.name,
                             error.what());
                backoff.wait(stop);
            }
        }
    }
}

void Snapshotter::work(std::stop_token stop)
{
    pg::Connection catalog(catalog_);
    std::vector<SnapshotPart> parts = unfinished_parts(catalog, node_.name);
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const bool first = i == 0 || parts[i - 1].table_id != parts[i].table_id;
        const bool last = i + 1 == parts.size() || parts[i + 1].table_id != parts[i].table_id;
        if (parts[i].owned) {
            read_part(catalog, parts[i], first, last, stop);
        } else {
            save_progress(catalog, node_.name, parts[i], 0, true);
        }
    }
}

void Snapshotter::read_part(pg::Connection& catalog, SnapshotPart& part, bool first, bool last, std::stop_token stop)
{
    pg::Connection connection(node_.connection("cdc snapshot"));
    pg::Connection marker(node_.connection("cdc snapshot markers"));
    SchemaReader schemas(connection, versions_);
    const std::shared_ptr<const Relation> relation = schemas.describe(part.leaf);
    if (!relation) {
        throw FatalError({fmt::format("reading {} of {} into its topic", part.leaf.to_string(), node_.name),
                          "there is no such table", "Check the table, or remove it from the captured ones."});
    }
    const std::shared_ptr<const TableSchema> table = schemas.read(*relation, part.table);
    ChunkReader reader(connection, table, *relation, part);
    bool more = true;
    while (more) {
        auto chunk = std::make_shared<SnapshotChunk>();
        chunk->table = table;
        chunk->relation = relation;
        chunk->group = part.group;
        chunk->bucket = part.bucket;
        chunk->keyed = !table->key.empty();
        chunk->first = first;
        chunk->again = part.condition.has_value();
        bool have_rows = false;
        const auto read = [&] {
            if (chunk->keyed && have_rows) {
                reader.go_back();
            }
            if (chunk->keyed || !have_rows) {
                more = reader.read(*chunk);
            }
            have_rows = true;
            chunk->last = last && !more;
        };
        while (!carry(marker, chunk, read, stop)) {
            throw_if(stop);
            sleep_for(std::chrono::milliseconds(20), stop);
        }
        failpoint("cdc.snapshot.chunk");
        part.last_key = reader.last_key();
        save_progress(catalog, node_.name, part, chunk->rows->rows(), !more);
        first = false;
    }
}

bool Snapshotter::carry(pg::Connection& marker, const std::shared_ptr<SnapshotChunk>& chunk,
                        const std::function<void()>& read, std::stop_token stop)
{
    chunk->id = fmt::format("{}-{}", run_id_, ++chunks_);
    window_.expect(chunk);
    mark(marker, "snapshot_low", chunk->id);
    read();
    window_.fill();
    mark(marker, "snapshot_high", chunk->id);
    const SnapshotWindow::Outcome outcome = window_.wait(stop);
    throw_if(stop);
    if (!outcome.published) {
        return false;
    }
    while (!acknowledged_(outcome.end_lsn, std::chrono::milliseconds(200))) {
        throw_if(stop);
        if (window_.session() != outcome.session) {
            return false;
        }
    }
    return window_.session() == outcome.session;
}

void Snapshotter::mark(pg::Connection& marker, const std::string& type, const std::string& id)
{
    const std::string content = fmt::format(R"({{"type":"{}","id":"{}"}})", type, id);
    marker.query("SELECT pg_catalog.pg_logical_emit_message(true, 'keyshift', $1)", {content});
}

} // namespace keyshift::cdc
