#include "resharder/move_owner.hpp"

#include "core/error.hpp"
#include "core/names.hpp"

namespace keyshift::resharder {

namespace {

TransientError newer_owner(pg::Connection& node, const BucketMove& move)
{
    return TransientError({"move " + std::to_string(move.id) + " (" + move.subject() + ") on node " + node.name(),
                           "a newer owner epoch than " + std::to_string(move.owner_epoch) + " is recorded there",
                           "nothing; its present owner carries on"});
}

} // namespace

void raise_owner(pg::Connection& node, const BucketMove& move)
{
    const std::string id = std::to_string(move.id);
    const std::string epoch = std::to_string(move.owner_epoch);
    const auto result = node.query(
        "INSERT INTO keyshift.move_progress AS p (move, owner_epoch) VALUES ($1, $2) "
        "ON CONFLICT (move) DO UPDATE SET owner_epoch = excluded.owner_epoch WHERE p.owner_epoch <= excluded.owner_epoch",
        {id, epoch});
    if (result.affected() != 1) {
        throw newer_owner(node, move);
    }
}

void check_owner(pg::Connection& node, const BucketMove& move)
{
    const auto rows = node.query("SELECT owner_epoch FROM keyshift.move_progress WHERE move = $1 FOR SHARE",
                                 {std::to_string(move.id)});
    if (rows.rows() != 1 || rows.integer(0, 0) != move.owner_epoch) {
        throw newer_owner(node, move);
    }
}

std::optional<Lsn> applied_lsn(pg::Connection& node, const BucketMove& move)
{
    const auto rows =
        node.query("SELECT applied_lsn FROM keyshift.move_progress WHERE move = $1", {std::to_string(move.id)});
    if (rows.rows() == 0 || rows.is_null(0, 0)) {
        return std::nullopt;
    }
    return rows.lsn(0, 0);
}

void set_applied_lsn(pg::Connection& node, const BucketMove& move, Lsn lsn)
{
    node.query("UPDATE keyshift.move_progress SET applied_lsn = $2::pg_lsn WHERE move = $1",
               {std::to_string(move.id), lsn.to_string()});
}

void continue_apply(pg::Connection& recipient, const BucketMove& move, Lsn from)
{
    const auto rows = recipient.query(
        "SELECT p.owner_epoch, p.applied_lsn, coalesce(b.state, '') FROM keyshift.move_progress p "
        "LEFT JOIN keyshift.local_bucket b ON b.group_name = $2 AND b.bucket = $3 WHERE p.move = $1 FOR UPDATE OF p",
        {std::to_string(move.id), move.group, std::to_string(number(move.bucket))});
    if (rows.rows() != 1 || rows.integer(0, 0) != move.owner_epoch) {
        throw newer_owner(recipient, move);
    }
    if (rows.is_null(0, 1) || rows.lsn(0, 1) != from || rows.text(0, 2) == "open") {
        throw TransientError({"applying to " + move.subject() + " on node " + recipient.name(),
                              rows.text(0, 2) == "open" ? "the bucket is open there already"
                                                        : "its applied position is " + std::string(rows.text(0, 1)) +
                                                              ", not " + from.to_string(),
                              "nothing; the move continues from what the node holds"});
    }
}

bool act_as_mover(pg::Connection& node, const BucketMove& move)
{
    node.query("SELECT set_config('keyshift.mover', $1, true)", {move.token});
    const auto may = node.query("SELECT rolsuper FROM pg_roles WHERE rolname = current_user");
    bool allowed = may.rows() == 1 && may.boolean(0, 0);
    if (!allowed && node.server_version() >= 150000) {
        const auto granted = node.query("SELECT has_parameter_privilege('session_replication_role', 'SET')");
        allowed = granted.boolean(0, 0);
    }
    if (allowed) {
        node.query("SET LOCAL session_replication_role = replica");
    }
    return allowed;
}

} // namespace keyshift::resharder
