#include "cdc/source/spilling_queue.hpp"

#include <utility>

namespace keyshift::cdc {

SpillingQueue::SpillingQueue(std::size_t memory_limit, std::string directory)
    : memory_limit_(memory_limit), file_(std::move(directory))
{
}

void SpillingQueue::append(std::string_view record)
{
    std::scoped_lock lock(mutex_);
    if (in_file_ == 0 && (memory_.empty() || memory_bytes_ + record.size() <= memory_limit_)) {
        memory_.emplace_back(record);
        memory_bytes_ += record.size();
    } else {
        const std::uint64_t length = record.size();
        std::string framed(reinterpret_cast<const char*>(&length), sizeof length);
        framed += record;
        file_.write(framed, write_at_);
        write_at_ += framed.size();
        ++in_file_;
    }
    ++total_;
}

void SpillingQueue::publish()
{
    std::scoped_lock lock(mutex_);
    published_ = total_;
    published_end_ = write_at_;
    changed_.notify_all();
}

void SpillingQueue::discard()
{
    std::scoped_lock lock(mutex_);
    // The youngest records are in the file, or the file is empty and they are at the end of memory.
    in_file_ = published_ > memory_.size() ? published_ - memory_.size() : 0;
    write_at_ = published_end_;
    while (memory_.size() > published_) {
        memory_bytes_ -= memory_.back().size();
        memory_.pop_back();
    }
    total_ = published_;
}

void SpillingQueue::close()
{
    std::scoped_lock lock(mutex_);
    closed_ = true;
    changed_.notify_all();
}

std::optional<std::string> SpillingQueue::pop(std::chrono::milliseconds wait, std::stop_token stop)
{
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, stop, wait, [this] { return closed_ || has_published(); });
    if (!has_published()) {
        return std::nullopt;
    }
    return take();
}

bool SpillingQueue::closed() const
{
    std::scoped_lock lock(mutex_);
    return closed_;
}

std::size_t SpillingQueue::memory_bytes() const
{
    std::scoped_lock lock(mutex_);
    return memory_bytes_;
}

std::uint64_t SpillingQueue::spilled_bytes() const
{
    std::scoped_lock lock(mutex_);
    return write_at_ - read_at_;
}

std::string SpillingQueue::take()
{
    std::string record;
    if (memory_.empty()) {
        record = take_from_file();
    } else {
        record = std::move(memory_.front());
        memory_.pop_front();
        memory_bytes_ -= record.size();
    }
    --published_;
    --total_;
    return record;
}

std::string SpillingQueue::take_from_file()
{
    std::uint64_t length = 0;
    file_.read(reinterpret_cast<char*>(&length), sizeof length, read_at_);
    std::string record(length, '\0');
    file_.read(record.data(), length, read_at_ + sizeof length);
    read_at_ += sizeof length + length;
    --in_file_;
    if (in_file_ == 0) {
        read_at_ = write_at_ = published_end_ = 0;
        file_.truncate(0);
    }
    return record;
}

} // namespace keyshift::cdc
