#pragma once
/// Errors are classed by what the supervisor (or the command line) does about them, not by where they arose.
/// Each has the three parts an operator needs: what failed, why, and what to do next.
/// A bad event or value is no error but a value (a rejection): it never throws.

#include <exception>
#include <string>
#include <string_view>
#include <utility>

namespace keyshift {

struct ErrorParts {
    std::string what; ///< the object and the node, e.g. "adding node n2"
    std::string why;  ///< the server's words with SQLSTATE or Kafka's error name
    std::string next; ///< what the operator can do now
};

enum class ErrorKind {
    transient,     ///< the world is away for a while: retry with back-off
    fatal,         ///< this worker cannot go on without help: stop it, loudly (exit 1)
    usage,         ///< exit 2
    configuration, ///< exit 3
    unreachable,   ///< exit 4
    refused,       ///< a check said no, nothing was touched: exit 5
    differs,       ///< data is not what it should be: exit 6
    unhealthy,     ///< exit 10
    timed_out,     ///< exit 124
};

class Error : public std::exception {
public:
    Error(ErrorKind kind, ErrorParts parts);

    ErrorKind kind() const noexcept { return kind_; }
    const ErrorParts& parts() const noexcept { return parts_; }
    /// "what: why. next" on one line, for logs.
    const char* what() const noexcept override { return line_.c_str(); }
    /// Puts what was being done in front of parts().what.
    void add_context(std::string_view doing);

private:
    ErrorKind kind_;
    ErrorParts parts_;
    std::string line_;
};

/// Retried by the worker's supervisor with back-off.
struct TransientError : Error {
    explicit TransientError(ErrorParts parts) : Error(ErrorKind::transient, std::move(parts)) {}
};

/// Stops the worker; shown by status until someone acts.
struct FatalError : Error {
    explicit FatalError(ErrorParts parts) : Error(ErrorKind::fatal, std::move(parts)) {}
};

/// A check refused; nothing was changed.
struct RefusedError : Error {
    explicit RefusedError(ErrorParts parts) : Error(ErrorKind::refused, std::move(parts)) {}
};

/// The command line's exit status for an error of this kind (docs/interface.md).
int exit_status(ErrorKind kind) noexcept;

/// Runs body; an Error that passes gets "while <what>" as context and keeps its type.
template <typename Body>
decltype(auto) doing(std::string_view what, Body&& body)
try {
    return std::forward<Body>(body)();
} catch (Error& error) {
    error.add_context(what);
    throw;
}

} // namespace keyshift
