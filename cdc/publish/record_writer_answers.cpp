/// What other threads ask a RecordWriter.

#include "cdc/publish/record_writer.hpp"

#include <algorithm>

namespace keyshift::cdc {

bool RecordWriter::wait_acknowledged(Lsn lsn, std::chrono::milliseconds wait)
{
    ++waiting_;
    doorbell_.ring();
    const bool reached = tracker_.wait(lsn, wait);
    --waiting_;
    return reached;
}

bool RecordWriter::wait_recorded(Lsn lsn, std::chrono::milliseconds wait)
{
    ++waiting_;
    doorbell_.ring();
    bool reached = false;
    {
        std::unique_lock lock(mutex_);
        reached = recorded_changed_.wait_for(lock, wait, [&] { return recorded() >= lsn; });
    }
    --waiting_;
    return reached;
}

void RecordWriter::hurry(Lsn lsn)
{
    hurried_to_ = std::max(hurried_to_.load(), lsn.value);
    doorbell_.ring();
}

std::optional<ErrorParts> RecordWriter::failure() const
{
    std::scoped_lock lock(mutex_);
    return failure_parts_;
}

void RecordWriter::check() const
{
    if (failed_.load(std::memory_order_acquire)) {
        std::scoped_lock lock(mutex_);
        std::rethrow_exception(failure_);
    }
}

std::size_t RecordWriter::queued_bytes() const
{
    return pushed_bytes_.load(std::memory_order_relaxed) - delivered_bytes_.load(std::memory_order_relaxed);
}

} // namespace keyshift::cdc
