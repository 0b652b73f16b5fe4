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

/// Columns: owner_epoch, applied_lsn.
std::optional<MoveProgress> read_progress(const pg::Result& rows)
{
    if (rows.rows() == 0) {
        return std::nullopt;
    }
    return MoveProgress{rows.integer(0, 0), rows.is_null(0, 1) ? std::nullopt : std::optional(rows.lsn(0, 1))};
}

std::optional<MoveProgress> progress(pg::Connection& node, const BucketMove& move, const std::string& lock)
{
    return read_progress(
        node.query("SELECT owner_epoch, applied_lsn FROM keyshift.move_progress WHERE move = $1 " + lock,
                   {std::to_string(move.id)}));
}

} // namespace

void end_older_sessions(pg::Connection& node, const BucketMove& move)
{
    node.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
               "AND usename = current_user AND pid <> pg_backend_pid() AND starts_with(application_name, $1)",
               {"keyshift move " + std::to_string(move.id) + " "});
}

void raise_owner(pg::Connection& node, const BucketMove& move)
{
    const std::string id = std::to_string(move.id);
    const std::string epoch = std::to_string(move.owner_epoch);
    pg::Transaction transaction(node);
    node.query("INSERT INTO keyshift.move_progress (move, owner_epoch) VALUES ($1, $2) ON CONFLICT (move) DO NOTHING",
               {id, epoch});
    const auto recorded = progress(node, move, "FOR UPDATE");
    if (!recorded || !may_take_over(recorded->owner_epoch, move.owner_epoch)) {
        throw newer_owner(node, move);
    }
    node.query("UPDATE keyshift.move_progress SET owner_epoch = $2 WHERE move = $1", {id, epoch});
    transaction.commit();
}

void check_owner(pg::Connection& node, const BucketMove& move)
{
    if (!may_act(progress(node, move, "FOR SHARE"), move.owner_epoch)) {
        throw newer_owner(node, move);
    }
}

LocalBucket local_bucket(pg::Connection& node, const BucketMove& move)
{
    const auto rows =
        node.query("SELECT state, epoch, coalesce(move, 0), coalesce(token, '') FROM keyshift.local_bucket "
                   "WHERE group_name = $1 AND bucket = $2",
                   {move.group, std::to_string(number(move.bucket))});
    if (rows.rows() == 0) {
        return {};
    }
    using State = LocalBucket::State;
    const State state = rows.text(0, 0) == "open"     ? State::open
                        : rows.text(0, 0) == "fenced" ? State::fenced
                                                      : State::closed;
    return {state, static_cast<Epoch>(rows.integer(0, 1)), rows.integer(0, 2), std::string(rows.text(0, 3))};
}

std::optional<Lsn> applied_lsn(pg::Connection& node, const BucketMove& move)
{
    const auto recorded = progress(node, move, "");
    return recorded ? recorded->applied : std::nullopt;
}

void set_applied_lsn(pg::Connection& node, const BucketMove& move, Lsn lsn)
{
    node.query("UPDATE keyshift.move_progress SET applied_lsn = $2::pg_lsn WHERE move = $1",
               {std::to_string(move.id), lsn.to_string()});
}

void continue_apply(pg::Connection& recipient, const BucketMove& move, Lsn from)
{
    const auto rows = recipient.query(
        "SELECT p.owner_epoch, p.applied_lsn, coalesce(b.state, '') = 'open' FROM keyshift.move_progress p "
        "LEFT JOIN keyshift.local_bucket b ON b.group_name = $2 AND b.bucket = $3 WHERE p.move = $1 FOR UPDATE OF p",
        {std::to_string(move.id), move.group, std::to_string(number(move.bucket))});
    const auto recorded = read_progress(rows);
    const auto answer = may_apply(recorded, recorded && rows.boolean(0, 2), move.owner_epoch, from);
    if (answer == ApplyAnswer::newer_owner) {
        throw newer_owner(recipient, move);
    }
    if (answer != ApplyAnswer::applies) {
        throw TransientError({"applying to " + move.subject() + " on node " + recipient.name(),
                              answer == ApplyAnswer::already_open
                                  ? "the bucket is open there already"
                                  : "its applied position is " +
                                        (recorded->applied ? recorded->applied->to_string() : "not recorded") +
                                        ", not " + from.to_string(),
                              "nothing; the move continues from what the node holds"});
    }
}

bool act_as_mover(pg::Connection& node, const BucketMove& move)
{
    const auto may = node.query("SELECT set_config('keyshift.mover', $1, true), "
                                "(SELECT rolsuper FROM pg_roles WHERE rolname = current_user)",
                                {move.token});
    bool allowed = !may.is_null(0, 1) && may.boolean(0, 1);
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
