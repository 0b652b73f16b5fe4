#include "cdc/source/snapshot_work.hpp"

#include "catalog/catalog.hpp"
#include "catalog/rows.hpp"

namespace keyshift::cdc {

std::vector<SnapshotPart> unfinished_parts(pg::Connection& catalog, const std::string& node)
{
    const pg::Result rows = catalog.query(
        "SELECT s.table_id, t.schema_name, t.table_name, t.group_name, s.bucket, s.last_key, t.group_name IS NULL OR b.node = s.node, s.condition, t.options ->> 'where' "
        "FROM keyshift.snapshot s JOIN keyshift.captured_table t ON t.id = s.table_id "
        "LEFT JOIN keyshift.bucket b ON b.group_name = t.group_name AND b.bucket = s.bucket "
        "WHERE s.node = $1 AND s.state <> 'done' ORDER BY s.table_id, s.bucket",
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
            part.last_key = catalog::read_array(rows.text(row, 5));
        }
        part.owned = !rows.is_null(row, 6) && rows.boolean(row, 6);
        if (!rows.is_null(row, 7)) {
            part.condition = rows.text(row, 7);
        }
        part.filter = rows.optional_text(row, 8).value_or("true");
        parts.push_back(std::move(part));
    }
    return parts;
}

void save_progress(pg::Connection& catalog, const std::string& node, const SnapshotPart& part, std::int64_t rows,
                   bool done)
{
    const std::string table = std::to_string(part.table_id);
    const std::string bucket = std::to_string(number(part.bucket));
    const std::string count = std::to_string(rows);
    const std::optional<std::string> key =
        part.last_key ? std::optional(catalog::write_array(*part.last_key)) : std::nullopt;
    catalog.query("UPDATE keyshift.snapshot SET state = $4, last_key = $5::text[], rows = rows + $6::bigint "
                  "WHERE table_id = $1::bigint AND node = $2 AND bucket = $3::int",
                  {table, node, bucket, done ? "done" : "running", key, count});
}

} // namespace keyshift::cdc
