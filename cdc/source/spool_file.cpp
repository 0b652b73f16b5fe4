#include "cdc/source/spool_file.hpp"

#include "core/error.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

namespace keyshift::cdc {

namespace {

[[noreturn]] void fail(const std::string& directory, const char* doing, int error)
{
    throw TransientError({std::string(doing) + " a spool file in " + directory, std::strerror(error),
                          "Nothing is lost: it is tried again. Make room there, or name another directory in [cdc] "
                          "spool_directory."});
}

} // namespace

SpoolFile::~SpoolFile()
{
    if (file_ >= 0) {
        ::close(file_);
    }
}

SpoolFile::SpoolFile(SpoolFile&& other) noexcept
    : directory_(std::move(other.directory_)), file_(std::exchange(other.file_, -1))
{
}

void SpoolFile::open()
{
    std::string name = directory_ + "/keyshift-spool-XXXXXX";
    file_ = ::mkostemp(name.data(), O_CLOEXEC);
    if (file_ < 0) {
        fail(directory_, "making", errno);
    }
    ::unlink(name.c_str());
}

void SpoolFile::write(std::string_view bytes, std::uint64_t at)
{
    if (file_ < 0) {
        open();
    }
    while (!bytes.empty()) {
        const ssize_t count = ::pwrite(file_, bytes.data(), bytes.size(), static_cast<off_t>(at));
        if (count < 0) {
            if (errno == EINTR) {
                continue;
            }
            fail(directory_, "writing", errno);
        }
        at += static_cast<std::uint64_t>(count);
        bytes.remove_prefix(static_cast<std::size_t>(count));
    }
}

void SpoolFile::read(char* to, std::size_t bytes, std::uint64_t at) const
{
    while (bytes > 0) {
        const ssize_t count = ::pread(file_, to, bytes, static_cast<off_t>(at));
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            fail(directory_, "reading", count == 0 ? EIO : errno);
        }
        to += count;
        at += static_cast<std::uint64_t>(count);
        bytes -= static_cast<std::size_t>(count);
    }
}

void SpoolFile::truncate(std::uint64_t size)
{
    if (file_ >= 0 && ::ftruncate(file_, static_cast<off_t>(size)) != 0) {
        fail(directory_, "truncating", errno);
    }
}

} // namespace keyshift::cdc
