#include "cdc/source/snapshot_work.hpp"

#include "catalog/catalog.hpp"
#include "core/json.hpp"

namespace keyshift::cdc {

std::vector<SnapshotPart> unfinished_parts(pg::Connection& catalog, const std::string& node)
{
    const pg::Result rows = catalog.query(
        "SELECT s.table_id, t.schema_name, t.table_name, t.group_name, s.bucket, s.ranges, t.group_name IS NULL OR b.node = s.node, s.condition, s.requested_at, s.rows > 0, t.options ->> 'where' "
        "FROM keyshift.snapshot s JOIN keyshift.captured_table t ON t.id = s.table_id "
        "LEFT JOIN keyshift.bucket b ON b.group_name = t.group_name AND b.bucket = s.bucket "
        "WHERE s.node = $1 AND s.state IN ('pending', 'running') ORDER BY s.table_id, s.bucket",
        {node});
    std::vector<SnapshotPart> parts;
    for (int row = 0; row < rows.rows(); ++row) {
        SnapshotPart part;
        part.table_id = rows.integer(row, 0);
        part.table = {std::string(rows.text(row, 1)), std::string(rows.text(row, 2))};
        part.group = rows.text(row, 3);
        part.bucket = static_cast<BucketId>(rows.integer(row, 4));
        part.leaf = part.group.empty() ? part.table : catalog::leaf_name(part.table, part.bucket);
        if (!rows.is_null(row, 5)) {
            part.ranges = read_ranges(rows.text(row, 5));
        }
        part.owned = !rows.is_null(row, 6) && rows.boolean(row, 6);
        if (!rows.is_null(row, 7)) {
            part.condition = rows.text(row, 7);
        }
        part.requested_at = rows.text(row, 8);
        part.begun = rows.boolean(row, 9);
        part.filter = rows.optional_text(row, 10).value_or("true");
        parts.push_back(std::move(part));
    }
    return parts;
}

bool save_progress(pg::Connection& catalog, const std::string& node, const SnapshotPart& part,
                   const PartProgress& progress)
{
    const std::string table = std::to_string(part.table_id);
    const std::string bucket = std::to_string(number(part.bucket));
    const std::string rows = std::to_string(progress.rows);
    const std::string chunks = std::to_string(progress.chunks);
    const std::string ranges = write_ranges(progress.left);
    const std::optional<std::string> estimate =
        progress.estimate ? std::optional(std::to_string(*progress.estimate)) : std::nullopt;
    const pg::Result saved = catalog.query(
        "UPDATE keyshift.snapshot SET state = $4, ranges = CASE WHEN $4 = 'done' THEN NULL ELSE $5::jsonb END, rows = rows + $6::bigint, "
        "chunks = chunks + $7::bigint, estimate = coalesce($8::bigint, estimate), started_at = coalesce(started_at, pg_catalog.now()), "
        "updated_at = pg_catalog.now() WHERE table_id = $1::bigint AND node = $2 AND bucket = $3::int "
        "AND state IN ('pending', 'running') AND requested_at = $9::timestamptz",
        {table, node, bucket, progress.left.empty() ? "done" : "running", ranges, rows, chunks, estimate,
         part.requested_at});
    return saved.affected() != 0;
}

void save_failure(pg::Connection& catalog, const std::string& node, const SnapshotPart& part, const ErrorParts& error)
{
    const std::string table = std::to_string(part.table_id);
    const std::string json = nlohmann::json{{"what", error.what}, {"why", error.why}, {"next", error.next}}.dump(
        -1, ' ', false, nlohmann::json::error_handler_t::replace);
    catalog.query(
        "UPDATE keyshift.snapshot SET state = 'failed', error = $3::jsonb, updated_at = pg_catalog.now() "
        "WHERE table_id = $1::bigint AND node = $2 AND state IN ('pending', 'running') AND requested_at = $4::timestamptz",
        {table, node, json, part.requested_at});
}

} // namespace keyshift::cdc
