#pragma once
/// What a command that works for long tells and asks.

#include "core/error.hpp"

#include <functional>
#include <stop_token>
#include <string>

namespace keyshift::catalog {

struct OnlineWork {
    /// Called several times a second; part from 0 to 1.
    std::function<void(double part, const std::string& text)> show = [](double, const std::string&) {
    };
    std::stop_token stop;
};

/// Throws TransientError when stop was requested.
inline void check_stop(const OnlineWork& work)
{
    if (work.stop.stop_requested()) {
        throw TransientError({"the work on the table", "it was interrupted", ""});
    }
}

} // namespace keyshift::catalog
