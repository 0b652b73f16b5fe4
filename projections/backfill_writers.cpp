#include "projections/backfill_writers.hpp"

#include "projections/rejection_log.hpp"

#include <fmt/core.h>

#include <iterator>
#include <utility>

namespace keyshift::projections {

namespace {

// Of one batch, and of what waits for one writer.
constexpr std::size_t kBatchBytes = 1U << 20U;

std::size_t weight_of(const RowChange& row)
{
    std::size_t bytes = sizeof(RowChange);
    for (const auto& value : row.base) {
        bytes += sizeof(value) + (value ? value->size() : 0);
    }
    return bytes;
}

} // namespace

struct BackfillWriters::Writer {
    Writer(const pg::ConnectionSettings& catalog, const Definition& definition, std::int64_t owner_epoch)
        : target(catalog, definition, Target::Progress::elsewhere), writer(definition, target, owner_epoch)
    {
    }

    Target target;
    BatchWriter writer;
    BoundedQueue<std::vector<RowChange>> queue{kBatchBytes};
    // Of the reading thread.
    std::vector<RowChange> gathered;
    std::size_t gathered_bytes = 0;
    std::jthread thread;
};

BackfillWriters::BackfillWriters(const pg::ConnectionSettings& catalog, const Definition& definition,
                                 std::int64_t owner_epoch, const BackfillLimits& limits,
                                 const std::optional<std::set<std::string>>& nodes)
    : catalog_settings_(catalog), definition_(definition), limits_(limits), keys_(catalog, definition)
{
    for (int count = 0; count < limits.writers; ++count) {
        Writer& writer = *writers_.emplace_back(std::make_unique<Writer>(catalog, definition, owner_epoch));
        if (nodes) {
            writer.target.restrict_to(*nodes);
        }
    }
    if (!definition.everywhere) {
        buckets_ = catalog::group(writers_.front()->target.catalog(), definition.group).buckets;
    }
    for (const auto& writer : writers_) {
        writer->thread = std::jthread([this, &writer = *writer](std::stop_token stop) { work(writer, stop); });
    }
}

BackfillWriters::~BackfillWriters() = default;

BackfillWriters::Writer& BackfillWriters::writer_of(RowChange& row)
{
    if (definition_.everywhere) {
        return *writers_[next_++ % writers_.size()];
    }
    row.key_hash = writers_.front()->target.key_hash(row);
    const std::size_t bucket = row.key_hash ? number(buckets_.of_hash(*row.key_hash)) : 0;
    return *writers_[bucket % writers_.size()];
}

void BackfillWriters::put(std::vector<RowChange> rows, std::stop_token stop)
{
    compute_keys(rows);
    for (RowChange& row : rows) {
        Writer& writer = writer_of(row);
        writer.gathered_bytes += weight_of(row);
        writer.gathered.push_back(std::move(row));
        if (writer.gathered.size() >= limits_.batch_rows || writer.gathered_bytes >= kBatchBytes) {
            hand_over(writer, stop);
        }
    }
    throw_failure();
}

void BackfillWriters::compute_keys(std::vector<RowChange>& rows)
{
    if (!keys_.any()) {
        return;
    }
    std::vector<RowToKey> to_key;
    for (RowChange& row : rows) {
        to_key.push_back({&row.base});
    }
    keys_.compute(to_key);
    std::vector<RowChange> keyed;
    for (std::size_t at = 0; at < rows.size(); ++at) {
        if (!to_key[at].fault.empty()) {
            pg::Connection catalog(catalog_settings_); // the writers' sessions are their threads'
            reject(catalog, rows[at], to_key[at].fault);
        } else if (!to_key[at].nowhere) {
            keyed.push_back(std::move(rows[at]));
        }
    }
    rows = std::move(keyed);
}

void BackfillWriters::hand_over(Writer& writer, std::stop_token stop)
{
    if (writer.gathered.empty()) {
        return;
    }
    {
        std::scoped_lock lock(mutex_);
        ++unwritten_;
    }
    // What a closed queue or a stop leaves out stays unwritten: finish() never says that it is.
    writer.queue.push(std::exchange(writer.gathered, {}), std::exchange(writer.gathered_bytes, 0), std::move(stop));
}

bool BackfillWriters::finish(std::stop_token stop)
{
    for (const auto& writer : writers_) {
        hand_over(*writer, stop);
    }
    {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, stop, [&] { return failure_ || unwritten_ == 0; });
        if (!failure_) {
            return unwritten_ == 0;
        }
    }
    throw_failure();
    return false;
}

void BackfillWriters::work(Writer& writer, std::stop_token stop)
{
    while (std::optional<std::vector<RowChange>> rows = writer.queue.pop(stop)) {
        try {
            write_or_reject(writer, *rows, stop);
        } catch (...) {
            fail(std::current_exception());
            return;
        }
        std::scoped_lock lock(mutex_);
        --unwritten_;
        changed_.notify_all();
    }
}

/// As with events: halves of the batch find the row that PostgreSQL does not take, and its neighbours are written.
void BackfillWriters::write_or_reject(Writer& writer, std::span<RowChange> rows, std::stop_token stop)
{
    std::vector<RowChange*> pointers;
    for (RowChange& row : rows) {
        pointers.push_back(&row);
    }
    try {
        writer.writer.write(std::move(pointers), {}, stop);
    } catch (const pg::SqlError& error) {
        if (!blames_the_row(error.sqlstate())) {
            throw;
        }
        if (rows.size() > 1) {
            write_or_reject(writer, rows.first(rows.size() / 2), stop);
            write_or_reject(writer, rows.subspan(rows.size() / 2), stop);
            return;
        }
        reject(writer.target.catalog(), rows.front(), error.parts().why);
    }
}

void BackfillWriters::reject(pg::Connection& catalog, const RowChange& row, const std::string& why)
{
    add_rejected_row(catalog, definition_, row, why);
    if (const std::int64_t rejected = ++rejected_; rejected >= limits_.max_rejections) {
        throw FatalError({"building projection " + definition_.name,
                          fmt::format("{} rows of {} could not be used (projection.max_rejections)", rejected,
                                      definition_.base.to_string()),
                          "`keyshift rejections list " + definition_.name + "` says why. Mend the cause and resume."});
    }
}

void BackfillWriters::fail(std::exception_ptr failure)
{
    std::scoped_lock lock(mutex_);
    if (!failure_) {
        failure_ = std::move(failure);
    }
    for (const auto& writer : writers_) {
        writer->queue.close();
    }
    changed_.notify_all();
}

void BackfillWriters::throw_failure()
{
    std::scoped_lock lock(mutex_);
    if (failure_) {
        std::rethrow_exception(failure_);
    }
}

} // namespace keyshift::projections
