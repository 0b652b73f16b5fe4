#include "resharder/throttle.hpp"

#include "core/backoff.hpp"
#include "core/log.hpp"
#include "resharder/move_context.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keyshift::resharder {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kLook = 250ms;

std::string sentence(const std::string& node, const std::string& what, const char* key, std::uint64_t most)
{
    return fmt::format("throttled: node {} {} (reshard.{} = {})", node, what, key, most);
}

} // namespace

std::optional<std::string> NodeLoad::too_much()
{
    std::optional<std::string> why = too_much_to_read();
    return why ? why : wal_retained(options_->now().max_retained_wal);
}

std::optional<std::string> NodeLoad::too_much_to_read()
{
    const ReshardOptions options = options_->now();
    // The WAL is measured at each look, also while another reason holds.
    const std::optional<std::string> fast = wal_too_fast(options.max_wal_rate);
    std::optional<std::string> why = standby_behind(options.max_replica_lag);
    return why ? why : fast;
}

std::optional<std::string> NodeLoad::standby_behind(std::uint64_t most)
{
    if (most == 0) {
        return std::nullopt;
    }
    node_.query("SELECT pg_stat_clear_snapshot()"); // the copy's transaction lasts
    // Readers of logical slots, Keyshift's own among them, are no standbys.
    const auto rows = node_.query(
        "SELECT coalesce(r.application_name, ''), pg_wal_lsn_diff(pg_current_wal_lsn(), r.replay_lsn)::bigint, r.state IS NULL "
        "FROM pg_stat_replication r WHERE NOT EXISTS (SELECT FROM pg_replication_slots s WHERE s.active_pid = r.pid AND s.slot_type = 'logical') "
        "AND (r.state IS NULL OR r.replay_lsn IS NOT NULL) ORDER BY 2 DESC NULLS LAST");
    for (int row = 0; row < rows.rows(); ++row) {
        if (rows.boolean(row, 2)) {
            if (!blind_said_) {
                log::warning(
                    "resharder",
                    "node={} how far its standbys are behind is not shown to this role, so that reshard.max_replica_lag "
                    "holds nothing back: GRANT pg_read_all_stats",
                    name_);
                blind_said_ = true;
            }
        } else if (!rows.is_null(row, 1) && rows.integer(row, 1) > static_cast<std::int64_t>(most)) {
            return sentence(name_,
                            fmt::format("has standby {} {} bytes behind", rows.text(row, 0), rows.integer(row, 1)),
                            "max_replica_lag", most);
        }
    }
    return std::nullopt;
}

std::optional<std::string> NodeLoad::wal_too_fast(std::uint64_t most)
{
    if (most == 0) {
        looked_lsn_.reset();
        ahead_ = 0;
        return std::nullopt;
    }
    const Lsn now_lsn = node_.query("SELECT pg_current_wal_insert_lsn()").lsn(0, 0);
    const auto now = Clock::now();
    if (looked_lsn_) {
        const double seconds = std::chrono::duration<double>(now - looked_at_).count();
        const auto written = static_cast<double>(now_lsn.value - looked_lsn_->value);
        ahead_ = std::max(0.0, ahead_ + written - seconds * static_cast<double>(most));
    }
    looked_lsn_ = now_lsn;
    looked_at_ = now;
    if (ahead_ <= 0) {
        return std::nullopt;
    }
    return sentence(name_, "has written more WAL than its rate allows", "max_wal_rate", most);
}

std::optional<std::string> NodeLoad::wal_retained(std::uint64_t most)
{
    if (most == 0) {
        return std::nullopt;
    }
    const auto rows =
        node_.query("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint FROM pg_replication_slots "
                    "WHERE slot_name = $1 AND restart_lsn IS NOT NULL",
                    {slot_});
    if (rows.rows() == 0 || rows.integer(0, 0) <= static_cast<std::int64_t>(most)) {
        return std::nullopt;
    }
    return sentence(name_, fmt::format("keeps {} bytes of WAL for slot {}", rows.integer(0, 0), slot_),
                    "max_retained_wal", most);
}

void wait_until_light(MoveContext& context, std::stop_token stop)
{
    const auto& options = context.environment.options;
    NodeLoad donor(options, context.donor, context.move().donor, context.donor_node.slot);
    NodeLoad recipient(options, context.recipient, context.move().recipient, context.recipient_node.slot);
    bool waited = false;
    while (true) {
        std::optional<std::string> why = donor.too_much();
        if (!why) {
            why = recipient.too_much();
        }
        if (!why) {
            break;
        }
        waited = true;
        context.journal.waiting_for(why);
        if (!sleep_for(kLook, stop)) {
            throw TransientError(
                {"moving " + context.move().subject(), "the daemon or the job stops", "it goes on when they do"});
        }
    }
    if (waited) {
        context.journal.waiting_for(std::nullopt);
    }
}

} // namespace keyshift::resharder
