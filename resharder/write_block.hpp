#pragma once
/// How long writers are held up, and by what. One thread.

#include <fmt/format.h>

#include <chrono>
#include <string>
#include <string_view>

namespace keyshift::resharder {

class WriteBlock {
public:
    /// From here on a writer may have to wait.
    using Clock = std::chrono::steady_clock;

    Clock::time_point began() const { return began_; }
    double milliseconds() const { return std::chrono::duration<double, std::milli>(Clock::now() - began_).count(); }
    void passed(std::string_view what)
    {
        passed_ += fmt::format("{}{} {:.1f}", passed_.empty() ? "" : ", ", what, milliseconds());
    }
    /// "locked 0.3, drained 4.1, ...": ms from the beginning.
    const std::string& described() const { return passed_; }

private:
    Clock::time_point began_ = Clock::now();
    std::string passed_;
};

} // namespace keyshift::resharder
