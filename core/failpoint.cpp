#include "core/failpoint.hpp"

#ifdef KEYSHIFT_FAILPOINTS

#include "core/backoff.hpp"
#include "core/error.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <unistd.h>

namespace keyshift {

namespace {

struct Action {
    std::string verb;     ///< kill, error, sleep, wait
    std::string argument; ///< sleep: milliseconds; wait: a file
    long at_pass = 0;     ///< 0: every pass
    long passes = 0;
};

Action parse_action(std::string text)
{
    Action action;
    if (const auto at = text.find('@'); at != std::string::npos) {
        action.at_pass = std::stol(text.substr(at + 1));
        text.resize(at);
    }
    if (const auto colon = text.find(':'); colon != std::string::npos) {
        action.argument = text.substr(colon + 1);
        text.resize(colon);
    }
    action.verb = text;
    return action;
}

/// The environment is read once; the failpoints of a process do not change.
class Failpoints {
public:
    Failpoints()
    {
        const char* set = std::getenv("KEYSHIFT_FAILPOINTS");
        std::string left = set == nullptr ? "" : set;
        while (!left.empty()) {
            const auto end = std::min(left.find(';'), left.size());
            const std::string entry = left.substr(0, end);
            left.erase(0, end + 1);
            if (const auto equals = entry.find('='); equals != std::string::npos) {
                actions_[entry.substr(0, equals)] = parse_action(entry.substr(equals + 1));
            }
        }
    }

    std::optional<Action> pass(std::string_view name)
    {
        if (actions_.empty()) {
            return std::nullopt;
        }
        std::scoped_lock lock(mutex_);
        const auto found = actions_.find(std::string(name));
        if (found == actions_.end()) {
            return std::nullopt;
        }
        Action& action = found->second;
        ++action.passes;
        if (action.at_pass != 0 && action.passes != action.at_pass) {
            return std::nullopt;
        }
        return action;
    }

private:
    std::mutex mutex_;
    std::map<std::string, Action> actions_;
};

} // namespace

void failpoint(std::string_view name)
{
    static Failpoints failpoints;
    const std::optional<Action> action = failpoints.pass(name);
    if (!action) {
        return;
    }
    std::fprintf(stderr, "failpoint %.*s fired\n", static_cast<int>(name.size()), name.data());
    std::fflush(stderr);
    if (action->verb == "kill") {
        std::raise(SIGKILL);
    } else if (action->verb == "sleep") {
        sleep_for(std::chrono::milliseconds(std::stol(action->argument)), {});
    } else if (action->verb == "wait") {
        while (::access(action->argument.c_str(), F_OK) != 0) {
            sleep_for(std::chrono::milliseconds(5), {});
        }
    } else if (action->verb == "error") {
        throw TransientError({"failpoint " + std::string(name), "set by KEYSHIFT_FAILPOINTS", "This is a test."});
    }
}

} // namespace keyshift

#endif
