#include "core/pg/session_pool.hpp"

#include "core/log.hpp"
#include "core/names.hpp"
#include "core/pg/session.hpp"

#include <algorithm>
#include <optional>

namespace keyshift::pg {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kKeptFor = 5s;
constexpr std::size_t kMostKept = 32; ///< what two moves at a time on each of a few nodes use

bool same_server(const ConnectionSettings& one, const ConnectionSettings& other)
{
    return one.name == other.name && one.conninfo == other.conninfo && one.password_file == other.password_file &&
           one.answer_limit == other.answer_limit;
}

} // namespace

Connection SessionPool::take(const ConnectionSettings& settings)
{
    while (true) {
        std::optional<Connection> found;
        {
            const std::lock_guard lock(mutex_);
            const auto kept = std::find_if(kept_.rbegin(), kept_.rend(), [&](const Kept& one) {
                return same_server(one.session.settings(), settings);
            });
            if (kept == kept_.rend()) {
                break;
            }
            found.emplace(std::move(kept->session));
            kept_.erase(std::next(kept).base());
        }
        try {
            found->script("RESET ALL; " + std::string(session_setup()) +
                          "; SET application_name = " + quote_literal(application_name(settings)));
            return std::move(*found);
        } catch (const Error& error) {
            log::debug("sessions", "a kept session to {} has ended: {}", settings.name, error.what());
        }
    }
    return Connection(settings);
}

void SessionPool::give_back(Connection session) noexcept
try {
    if (session.in_transaction()) {
        return;
    }
    session.script("SET application_name = 'keyshift kept session'");
    const std::lock_guard lock(mutex_);
    if (kept_.size() < kMostKept) {
        kept_.push_back({std::move(session), Clock::now()});
    }
} catch (const std::exception& error) {
    log::debug("sessions", "a session is closed: {}", error.what());
}

void SessionPool::close_old() noexcept
{
    const auto oldest = Clock::now() - kKeptFor;
    const std::lock_guard lock(mutex_);
    std::erase_if(kept_, [&](const Kept& one) { return one.since < oldest; });
}

} // namespace keyshift::pg
