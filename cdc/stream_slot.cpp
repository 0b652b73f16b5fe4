/// How a session comes to its slot, which another daemon may still read, and what it tells where the slot begins behind a gap.

#include "cdc/stream_session.hpp"
#include "core/log.hpp"

#include <fmt/core.h>

namespace keyshift::cdc {

namespace {

/// Another reader of the slot is given this long to go away.
constexpr std::chrono::seconds kSlotBusyLimit{60};
/// An earlier daemon's reader, before it is ended.
constexpr std::chrono::seconds kOlderReaderLimit{2};

} // namespace

void StreamSession::start_replication(const pg::PgoutputOptions& options)
{
    try {
        replication_->start(state_.node.slot, state_.node.slot, Lsn{}, options);
    } catch (const pg::TransientSqlError& error) {
        if (error.sqlstate() != "55006") {
            throw;
        }
        const auto now = Clock::now();
        state_.slot_busy_since = state_.slot_busy_since.value_or(now);
        if (now - *state_.slot_busy_since > kOlderReaderLimit) {
            end_older_reader();
        }
        if (now - *state_.slot_busy_since > kSlotBusyLimit) {
            const auto slot = read_slot(schema_connection_, state_.node.slot);
            throw FatalError(
                {error.parts().what,
                 fmt::format("{}; process {} on the server reads it", error.parts().why, slot ? slot->active_pid : 0),
                 "Only one daemon may run: stop the other reader, or end it with pg_terminate_backend()."});
        }
        throw;
    }
    state_.slot_busy_since.reset();
}

/// A daemon that stopped to answer, or whose network is cut, keeps its walsender for a minute. Only whoever works for the
/// catalog ends it, and only a reader of our own kind and role.
void StreamSession::end_older_reader()
{
    if (!state_.holds_claim || !state_.holds_claim()) {
        return;
    }
    const pg::Result ended = schema_connection_.query(
        "SELECT a.pid, pg_catalog.pg_terminate_backend(a.pid) FROM pg_catalog.pg_replication_slots s "
        "JOIN pg_catalog.pg_stat_activity a ON a.pid = s.active_pid "
        "WHERE s.slot_name = $1 AND a.application_name = 'keyshift cdc stream' "
        "AND (pg_has_role(a.usesysid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE'))",
        {state_.node.slot});
    if (ended.rows() > 0) {
        log::warning("cdc", "node={} slot={} was still read by process {} of an earlier daemon: it is ended",
                     state_.node.name, state_.node.slot, ended.text(0, 0));
    }
}

/// Before the first progress record behind it, so that a session that ends in between is followed by one that tells it again.
void StreamSession::tell_gap(const SlotFacts& slot)
{
    const std::optional<Lsn> kafka = state_.recorded();
    if (!kafka || (slot.confirmed <= *kafka && !state_.server_lost_changes)) {
        return;
    }
    log::warning("cdc", "node={} begins at {} behind a gap that was accepted; Kafka holds its changes up to {}",
                 state_.node.name, slot.confirmed.to_string(), kafka->to_string());
    publisher_->control(GapRecord{state_.node.name, state_.present_timeline, *kafka, slot.confirmed});
    state_.server_lost_changes = false;
}

} // namespace keyshift::cdc
