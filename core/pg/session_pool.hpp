#pragma once
/// Sessions kept for a few seconds between short pieces of work on the same server: opening one costs a process there, its
/// caches and, with passwords, thousands of hashes. Any thread; a session belongs to one of them at a time.

#include "core/pg/connection.hpp"

#include <chrono>
#include <mutex>
#include <vector>

namespace keyshift::pg {

class SessionPool {
public:
    /// A kept session to the same server, or a new one: in both cases set up as Connection says and under the name of
    /// `settings.purpose`. Throws what Connection throws.
    Connection take(const ConnectionSettings& settings);
    /// Only after work that has ended well. One that is still in a transaction is closed.
    void give_back(Connection session) noexcept;
    /// Closes what nobody has taken for five seconds.
    void close_old() noexcept;

private:
    struct Kept {
        Connection session;
        std::chrono::steady_clock::time_point since;
    };

    std::mutex mutex_;
    std::vector<Kept> kept_; ///< newest last; guarded by mutex_
};

} // namespace keyshift::pg
