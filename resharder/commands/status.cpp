#include "core/json.hpp"
#include "resharder/commands/jobs.hpp"
#include "resharder/commands/phase.hpp"
#include "resharder/resharder.hpp"

namespace keyshift::resharder {

namespace {

nlohmann::json json_or_null(const pg::Result& rows, int row, int column)
{
    return rows.is_null(row, column) ? nlohmann::json() : nlohmann::json::parse(rows.text(row, column), nullptr, false);
}

nlohmann::json text_or_null(const pg::Result& rows, int row, int column)
{
    return rows.is_null(row, column) ? nlohmann::json() : nlohmann::json(std::string(rows.text(row, column)));
}

nlohmann::json real_or_null(const pg::Result& rows, int row, int column)
{
    return rows.is_null(row, column) ? nlohmann::json() : nlohmann::json(rows.real(row, column));
}

MoveProgress progress_of(const pg::Result& rows, int row)
{
    MoveProgress move;
    move.state = parse_move_state(rows.text(row, 5)).value();
    move.rows = rows.integer(row, 6);
    move.lag_bytes = rows.integer(row, 8);
    move.donor_current = rows.boolean(row, 21);
    move.waits = !rows.is_null(row, 12);
    move.fence_tries = static_cast<int>(rows.integer(row, 13));
    move.planned_rows = rows.is_null(row, 16) ? 0 : rows.integer(row, 16);
    move.rows_per_second = rows.is_null(row, 18) ? 0 : rows.real(row, 18);
    return move;
}

nlohmann::json move_json(const pg::Result& rows, int row)
{
    const MoveProgress progress = progress_of(rows, row);
    const auto left = seconds_left(progress);
    return {{"move", rows.integer(row, 0)},
            {"bucket", rows.integer(row, 1)},
            {"group", std::string(rows.text(row, 2))},
            {"donor", std::string(rows.text(row, 3))},
            {"recipient", std::string(rows.text(row, 4))},
            {"state", std::string(rows.text(row, 5))},
            {"rows", rows.integer(row, 6)},
            {"bytes", rows.integer(row, 7)},
            {"lag_bytes", rows.integer(row, 8)},
            {"write_block_ms", rows.is_null(row, 9) ? nlohmann::json() : nlohmann::json(rows.real(row, 9))},
            {"verified", rows.boolean(row, 10)},
            {"error", json_or_null(rows, row, 11)},
            {"waiting_for", text_or_null(rows, row, 12)},
            {"fence_tries", rows.integer(row, 13)},
            {"epoch", rows.integer(row, 14)},
            {"switched_at", text_or_null(rows, row, 15)},
            {"phase", phase(progress)},
            {"phase_seconds", real_or_null(rows, row, 17)},
            {"rows_per_second", real_or_null(rows, row, 18)},
            {"bytes_per_second", real_or_null(rows, row, 19)},
            {"seconds_left", left ? nlohmann::json(*left) : nlohmann::json()},
            {"donor_kept_until", text_or_null(rows, row, 20)},
            {"donor_current", rows.boolean(row, 21)}};
}

} // namespace

nlohmann::json status(pg::Connection& catalog, std::optional<std::int64_t> job)
{
    const std::string id = std::to_string(job_or_newest(catalog, job));
    const auto head = catalog.query(
        "SELECT state, wanted, error, created_at::text, finished_at::text, plan ->> 'takes_back', plan ->> 'drains' "
        "FROM keyshift.job WHERE id = $1",
        {id});
    const auto rows = catalog.query(
        "SELECT id, bucket, group_name, donor, recipient, state, rows, bytes, lag_bytes, write_block_ms, verified, error, "
        "waiting_for, fence_tries, epoch, switched_at::text, planned_rows, "
        "extract(epoch FROM now() - coalesce(phase_since, started_at))::float8, rows_per_second, bytes_per_second, "
        "CASE WHEN state = 'settling' AND isfinite(settle_until) THEN settle_until::text END, state = 'settling' AND reverse_position IS NOT NULL "
        "FROM keyshift.move WHERE job = $1 ORDER BY id",
        {id});
    nlohmann::json moves = nlohmann::json::array();
    int moved = 0;
    for (int row = 0; row < rows.rows(); ++row) {
        const std::string_view state = rows.text(row, 5);
        moved += state == "switched" || state == "settling" || state == "done" ? 1 : 0;
        moves.push_back(move_json(rows, row));
    }
    return {{"job", std::stoll(id)},
            {"state", std::string(head.text(0, 0))},
            {"wanted", std::string(head.text(0, 1))},
            {"moves", std::move(moves)},
            {"moved", moved},
            {"total", rows.rows()},
            {"error", json_or_null(head, 0, 2)},
            {"created_at", std::string(head.text(0, 3))},
            {"finished_at", text_or_null(head, 0, 4)},
            {"takes_back", head.is_null(0, 5) ? nlohmann::json() : nlohmann::json(head.integer(0, 5))},
            {"drains", text_or_null(head, 0, 6)}};
}

nlohmann::json list(pg::Connection& catalog)
{
    const auto rows = catalog.query(
        "SELECT j.id, j.state, j.requested_by, j.created_at::text, j.finished_at::text, count(m.id), "
        "count(m.id) FILTER (WHERE m.state IN ('switched', 'settling', 'done')), j.plan ->> 'takes_back', j.plan ->> 'drains' "
        "FROM keyshift.job j "
        "LEFT JOIN keyshift.move m ON m.job = j.id WHERE j.kind = 'reshard' GROUP BY j.id ORDER BY j.id");
    nlohmann::json jobs = nlohmann::json::array();
    for (int row = 0; row < rows.rows(); ++row) {
        jobs.push_back({{"job", rows.integer(row, 0)},
                        {"state", std::string(rows.text(row, 1))},
                        {"requested_by", std::string(rows.text(row, 2))},
                        {"created_at", std::string(rows.text(row, 3))},
                        {"finished_at", text_or_null(rows, row, 4)},
                        {"total", rows.integer(row, 5)},
                        {"moved", rows.integer(row, 6)},
                        {"takes_back", rows.is_null(row, 7) ? nlohmann::json() : nlohmann::json(rows.integer(row, 7))},
                        {"drains", text_or_null(rows, row, 8)}});
    }
    return jobs;
}

} // namespace keyshift::resharder
