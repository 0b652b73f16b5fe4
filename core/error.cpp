#include "core/error.hpp"

namespace keyshift {

namespace {

std::string one_line(const ErrorParts& parts)
{
    std::string line = parts.what;
    if (!parts.why.empty()) {
        line += ": " + parts.why;
    }
    if (!parts.next.empty()) {
        line += line.ends_with('.') ? " " : ". ";
        line += parts.next;
    }
    return line;
}

} // namespace

Error::Error(ErrorKind kind, ErrorParts parts) : kind_(kind), parts_(std::move(parts)), line_(one_line(parts_)) {}

void Error::add_context(std::string_view doing)
{
    parts_.what = std::string(doing) + ": " + parts_.what;
    line_ = one_line(parts_);
}

int exit_status(ErrorKind kind) noexcept
{
    switch (kind) {
    case ErrorKind::transient:
    case ErrorKind::fatal:
        return 1;
    case ErrorKind::usage:
        return 2;
    case ErrorKind::configuration:
        return 3;
    case ErrorKind::unreachable:
        return 4;
    case ErrorKind::refused:
        return 5;
    case ErrorKind::differs:
        return 6;
    case ErrorKind::unhealthy:
        return 10;
    case ErrorKind::timed_out:
        return 124;
    }
    return 1;
}

} // namespace keyshift
