#include "cdc/wake.hpp"

#include "core/error.hpp"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <sys/eventfd.h>
#include <unistd.h>

namespace keyshift::cdc {

Wake::Wake() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))
{
    if (fd_ < 0) {
        throw FatalError({"making an eventfd", std::strerror(errno), "Raise the limit of open files (LimitNOFILE)."});
    }
}

Wake::~Wake()
{
    ::close(fd_);
}

void Wake::signal() const noexcept
{
    const std::uint64_t one = 1;
    (void)!::write(fd_, &one, sizeof one);
}

void Wake::clear() const noexcept
{
    std::uint64_t count = 0;
    (void)!::read(fd_, &count, sizeof count);
}

} // namespace keyshift::cdc
