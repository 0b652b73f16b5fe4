#include "cdc/source/spilling_queue.hpp"

#include "core/error.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace keyshift::cdc {

namespace {

[[noreturn]] void fail(const std::string& directory, const char* doing)
{
    throw TransientError({std::string(doing) + " a spool file in " + directory, std::strerror(errno),
                          "Make room there, or name another directory for spool files."});
}

} // namespace

SpillingQueue::SpillingQueue(std::size_t memory_limit, std::string directory)
    : memory_limit_(memory_limit), directory_(std::move(directory))
{
}

SpillingQueue::~SpillingQueue()
{
    if (file_ >= 0) {
        ::close(file_);
    }
}

void SpillingQueue::append(std::string_view record)
{
    std::scoped_lock lock(mutex_);
    if (in_file_ == 0 && (memory_.empty() || memory_bytes_ + record.size() <= memory_limit_)) {
        memory_.emplace_back(record);
        memory_bytes_ += record.size();
    } else {
        open_file();
        const std::uint64_t length = record.size();
        std::string framed(reinterpret_cast<const char*>(&length), sizeof length);
        framed += record;
        write_all(framed);
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
    if (::pread(file_, &length, sizeof length, static_cast<off_t>(read_at_)) != static_cast<ssize_t>(sizeof length)) {
        fail(directory_, "reading");
    }
    std::string record(length, '\0');
    std::size_t got = 0;
    while (got < length) {
        const ssize_t count =
            ::pread(file_, record.data() + got, length - got, static_cast<off_t>(read_at_ + sizeof length + got));
        if (count <= 0) {
            fail(directory_, "reading");
        }
        got += static_cast<std::size_t>(count);
    }
    read_at_ += sizeof length + length;
    --in_file_;
    if (in_file_ == 0) {
        read_at_ = write_at_ = published_end_ = 0;
        if (::ftruncate(file_, 0) != 0) {
            fail(directory_, "truncating");
        }
    }
    return record;
}

void SpillingQueue::open_file()
{
    if (file_ >= 0) {
        return;
    }
    std::string name = directory_ + "/keyshift-spool-XXXXXX";
    file_ = ::mkostemp(name.data(), O_CLOEXEC);
    if (file_ < 0) {
        fail(directory_, "making");
    }
    ::unlink(name.c_str());
}

void SpillingQueue::write_all(std::string_view bytes)
{
    std::uint64_t at = write_at_;
    while (!bytes.empty()) {
        const ssize_t count = ::pwrite(file_, bytes.data(), bytes.size(), static_cast<off_t>(at));
        if (count < 0) {
            if (errno == EINTR) {
                continue;
            }
            fail(directory_, "writing");
        }
        at += static_cast<std::uint64_t>(count);
        bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    write_at_ = at;
}

} // namespace keyshift::cdc
