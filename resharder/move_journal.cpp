#include "resharder/move_journal.hpp"

#include "core/failpoint.hpp"
#include "core/json.hpp"

#include <stdexcept>
#include <vector>

namespace keyshift::resharder {

const char* const kMoveColumns = "id, job, group_name, bucket, donor, recipient, state, epoch, token, owner_epoch, "
                                 "copy_snapshot, fence_lsn, open_lsn, write_block_ms, adopts";

BucketMove read_move(const pg::Result& rows, int row)
{
    BucketMove move;
    move.id = rows.integer(row, 0);
    move.job = rows.integer(row, 1);
    move.group = rows.text(row, 2);
    move.bucket = static_cast<BucketId>(rows.integer(row, 3));
    move.donor = rows.text(row, 4);
    move.recipient = rows.text(row, 5);
    move.state = parse_move_state(rows.text(row, 6)).value();
    move.epoch = static_cast<Epoch>(rows.integer(row, 7));
    move.token = rows.text(row, 8);
    move.owner_epoch = rows.integer(row, 9);
    move.copy_snapshot = rows.text(row, 10);
    if (!rows.is_null(row, 11)) {
        move.fence_lsn = rows.lsn(row, 11);
    }
    if (!rows.is_null(row, 12)) {
        move.open_lsn = rows.lsn(row, 12);
    }
    if (!rows.is_null(row, 13)) {
        move.write_block_ms = rows.real(row, 13);
    }
    if (!rows.is_null(row, 14)) {
        move.adopts = rows.integer(row, 14);
    }
    return move;
}

std::string error_json(const ErrorParts& error)
{
    return nlohmann::json{{"what", error.what}, {"why", error.why}, {"next", error.next}}.dump(
        -1, ' ', false, nlohmann::json::error_handler_t::replace);
}

MoveJournal::MoveJournal(pg::Connection& catalog, std::int64_t move) : catalog_(catalog)
{
    const auto rows = catalog.query(std::string("UPDATE keyshift.move SET owner_epoch = owner_epoch + 1, "
                                                "started_at = coalesce(started_at, now()) WHERE id = $1 RETURNING ") +
                                        kMoveColumns + ", waiting_for",
                                    {std::to_string(move)});
    if (rows.rows() == 0) {
        throw FatalError(
            {"move " + std::to_string(move), "the catalog has no such move", "look at `keyshift reshard list`"});
    }
    move_ = read_move(rows, 0);
    waiting_ = rows.optional_text(0, 15);
}

void MoveJournal::step(MoveState to, const std::function<void(pg::Connection&)>& together,
                       const std::function<void(pg::Connection&)>& before)
{
    if (!is_legal(move_.state, to)) {
        throw std::logic_error("illegal step of a move: " + std::string(name(move_.state)) + " -> " +
                               std::string(name(to)));
    }
    failpoint("move." + std::string(name(to)) + ".persisting");
    pg::Transaction transaction(catalog_);
    if (before) {
        before(catalog_);
    }
    update("state = $3, waiting_for = NULL, phase_since = now(), rows_per_second = NULL, bytes_per_second = NULL, "
           "error = CASE WHEN $3 = 'switched' THEN NULL ELSE error END, "
           "switched_at = CASE WHEN $3 = 'switched' THEN now() ELSE switched_at END, "
           "finished_at = CASE WHEN $3 IN ('done', 'aborted') THEN now() ELSE finished_at END",
           {name(to)});
    if (together) {
        together(catalog_);
    }
    failpoint("move." + std::string(name(to)) + ".committing");
    transaction.commit();
    move_.state = to;
    waiting_.reset();
    failpoint("move." + std::string(name(to)) + ".persisted");
}

void MoveJournal::update(const std::string& assignments, std::initializer_list<pg::Parameter> parameters)
{
    const std::string id = std::to_string(move_.id);
    const std::string owner = std::to_string(move_.owner_epoch);
    std::vector<pg::Parameter> all{id, owner};
    all.insert(all.end(), parameters.begin(), parameters.end());
    const auto result =
        catalog_.query("UPDATE keyshift.move SET " + assignments +
                           " WHERE id = $1 AND owner_epoch = $2 AND state = " + quote_literal(name(move_.state)),
                       all);
    if (result.affected() != 1) {
        throw TransientError({"move " + id + " (" + move_.subject() + ")", "another owner has taken it over",
                              "nothing; its present owner carries on"});
    }
}

void MoveJournal::record_copy(const std::string& snapshot, Lsn position)
{
    const std::string lsn = position.to_string();
    update("copy_snapshot = $3, position = $4::pg_lsn, rows = 0, bytes = 0", {snapshot, lsn});
    move_.copy_snapshot = snapshot;
}

void MoveJournal::record_adopted(std::optional<Lsn> position)
{
    update("position = $3::pg_lsn, copy_snapshot = NULL",
           {position ? std::optional(position->to_string()) : std::nullopt});
    move_.copy_snapshot.clear();
}

void MoveJournal::record_position(Lsn position, std::int64_t lag_bytes)
{
    const std::string lsn = position.to_string();
    const std::string lag = std::to_string(lag_bytes);
    update("position = $3::pg_lsn, lag_bytes = $4::bigint", {lsn, lag});
}

void MoveJournal::record_progress(const Progress& progress)
{
    const std::string row_count = std::to_string(progress.rows);
    const std::string byte_count = std::to_string(progress.bytes);
    const std::string row_rate = std::to_string(progress.rows_per_second);
    const std::string byte_rate = std::to_string(progress.bytes_per_second);
    update("rows = $3::bigint, bytes = $4::bigint, rows_per_second = $5::float8, bytes_per_second = $6::float8",
           {row_count, byte_count, row_rate, byte_rate});
}

void MoveJournal::record_fence_try()
{
    update("fence_tries = fence_tries + 1", {});
}

void MoveJournal::record_hashes(const std::string& donor, const std::string& recipient, bool equal)
{
    update("donor_hash = $3, recipient_hash = $4, verified = $5::boolean",
           {donor, recipient, equal ? "true" : "false"});
}

void MoveJournal::record_error(const ErrorParts& error)
{
    const std::string json = error_json(error);
    update("error = $3::jsonb", {json});
}

void MoveJournal::waiting_for(const std::optional<std::string>& what)
{
    if (what == waiting_) {
        return;
    }
    update("waiting_for = $3", {what});
    waiting_ = what;
}

} // namespace keyshift::resharder
