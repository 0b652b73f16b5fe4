#include "core/pg/short_lock.hpp"

#include "core/backoff.hpp"

namespace keyshift::pg {

using namespace std::chrono_literals;

void with_short_locks(Connection& node, const std::function<void()>& body, const std::function<void()>& between_tries,
                      std::stop_token stop)
{
    Backoff backoff(20ms, 2000ms);
    while (true) {
        try {
            Transaction transaction(node);
            node.query("SET LOCAL lock_timeout = '80ms'");
            body();
            transaction.commit();
            return;
        } catch (const TransientSqlError& error) {
            const bool lock = error.sqlstate() == "55P03" || error.sqlstate() == "40P01";
            if (!lock || stop.stop_requested()) {
                throw;
            }
        }
        if (between_tries) {
            between_tries();
        }
        if (!backoff.wait(stop)) {
            throw TransientError(
                {"waiting for a lock on node " + node.name(), "the daemon stops", "it goes on at the next start"});
        }
    }
}

} // namespace keyshift::pg
