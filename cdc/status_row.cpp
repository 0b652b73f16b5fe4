#include "cdc/status_row.hpp"

#include "core/json.hpp"

#include <array>
#include <fmt/core.h>

namespace keyshift::cdc {

namespace {

std::string left_out_json(const StreamStatus& status)
{
    auto columns = nlohmann::json::array();
    for (const auto& [name, type] : status.left_out) {
        const std::size_t dot = name.rfind('.');
        columns.push_back({{"table", name.substr(0, dot)}, {"column", name.substr(dot + 1)}, {"type", type}});
    }
    return columns.dump();
}

std::optional<std::string> error_json(const StreamStatus& status)
{
    if (!status.error) {
        return std::nullopt;
    }
    return nlohmann::json{{"what", status.error->what}, {"why", status.error->why}, {"next", status.error->next}}.dump(
        -1, ' ', false, nlohmann::json::error_handler_t::replace);
}

} // namespace

void write_status_row(pg::Connection& catalog, const StreamStatus& status, std::uint64_t new_dead_letters)
{
    const std::string confirmed = status.confirmed_lsn.to_string();
    const std::string current = status.current_lsn.to_string();
    const std::string lag_bytes = std::to_string(status.lag_bytes);
    const std::string lag_seconds = fmt::format("{}", status.lag_seconds);
    const std::string retained = std::to_string(status.retained_bytes);
    const std::string left_out = left_out_json(status);
    const std::optional<std::string> error = error_json(status);
    const std::string letters = std::to_string(new_dead_letters);
    const std::array<pg::Parameter, 11> values{status.node, status.state, confirmed, current,
                                               lag_bytes,   lag_seconds,  retained,  status.wal_status,
                                               left_out,    error,        letters};
    catalog.run_prepared(
        "cdc status",
        "INSERT INTO keyshift.stream_status AS s (node, state, confirmed_lsn, current_lsn, lag_bytes, lag_seconds, retained_bytes, "
        "wal_status, left_out, error, dead_letters, at) VALUES ($1, $2, $3::pg_lsn, $4::pg_lsn, $5::bigint, $6::float8, $7::bigint, $8, "
        "$9::jsonb, $10::jsonb, $11::bigint, pg_catalog.clock_timestamp()) ON CONFLICT (node) DO UPDATE SET state = excluded.state, "
        "confirmed_lsn = excluded.confirmed_lsn, current_lsn = excluded.current_lsn, lag_bytes = excluded.lag_bytes, "
        "lag_seconds = excluded.lag_seconds, retained_bytes = excluded.retained_bytes, wal_status = excluded.wal_status, "
        "left_out = excluded.left_out, dead_letters = s.dead_letters + excluded.dead_letters, error = excluded.error, at = excluded.at",
        values);
}

void write_timeline(pg::Connection& catalog, const std::string& node, std::uint32_t timeline, Lsn behind_gap)
{
    catalog.query("UPDATE keyshift.node SET timeline = $2::bigint WHERE name = $1 AND timeline < $2::bigint "
                  "AND coalesce(gap_accepted, '0/0') = $3::pg_lsn",
                  {node, std::to_string(timeline), behind_gap.to_string()});
}

} // namespace keyshift::cdc
