#include "cdc/source/snapshot_planner.hpp"

#include "core/backoff.hpp"

#include <algorithm>
#include <fmt/core.h>

namespace keyshift::cdc {

namespace {

/// A table of fewer blocks is one range; larger ones are cut so that each has about so many, into at most kMostRanges.
constexpr std::uint32_t kBlocksOfRange = 512;
constexpr std::uint32_t kMostRanges = 32;
/// Blocks that are sampled for keys to cut at.
constexpr std::uint32_t kSampledBlocks = 256;

void wait_for_writers(pg::Connection& node, const QualifiedName& name, std::stop_token stop)
{
    const std::string table = name.quoted();
    const std::string held =
        "relation IN (SELECT pg_catalog.to_regclass($1)::oid UNION ALL SELECT relid FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass($1))) "
        "AND granted AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) "
        "AND mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')";
    const pg::Result writers =
        node.query("SELECT pg_catalog.array_agg(virtualtransaction) FROM pg_catalog.pg_locks WHERE " + held, {table});
    if (writers.is_null(0, 0)) {
        return;
    }
    const std::string known(writers.text(0, 0));
    while (node.query("SELECT EXISTS (SELECT FROM pg_catalog.pg_locks WHERE " + held +
                          " AND virtualtransaction = ANY ($2::text[]))",
                      {table, known})
               .boolean(0, 0)) {
        if (!sleep_for(std::chrono::milliseconds(50), stop)) {
            throw TransientError({"reading rows for the topic", "a stop was requested", ""});
        }
    }
}

/// Where the rows are: in the table itself (nullopt), or in its partitions.
std::vector<std::optional<QualifiedName>> holders(pg::Connection& node, const QualifiedName& table)
{
    const std::string name = table.quoted();
    const pg::Result rows = node.query(
        "SELECT n.nspname, c.relname, c.oid = pg_catalog.to_regclass($1) FROM (SELECT pg_catalog.to_regclass($1)::oid AS relid "
        "UNION SELECT relid FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass($1))) t "
        "JOIN pg_catalog.pg_class c ON c.oid = t.relid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind = 'r' ORDER BY 1, 2",
        {name});
    std::vector<std::optional<QualifiedName>> all;
    for (int row = 0; row < rows.rows(); ++row) {
        all.push_back(rows.boolean(row, 2) ? std::nullopt
                                           : std::optional(QualifiedName{std::string(rows.text(row, 0)),
                                                                         std::string(rows.text(row, 1))}));
    }
    return all;
}

std::uint32_t ranges_for(const TableFacts& facts)
{
    return std::clamp(facts.blocks / kBlocksOfRange, 1U, kMostRanges);
}

std::vector<SnapshotRange> by_place(const TableFacts& facts)
{
    const std::uint32_t count = ranges_for(facts);
    std::vector<SnapshotRange> ranges(count);
    for (std::uint32_t i = 0; i < count; ++i) {
        SnapshotPlaces& places = ranges[i].places.emplace();
        places.after = fmt::format("({},0)", std::uint64_t{facts.blocks} * i / count);
        places.filenode = facts.filenode;
        if (i + 1 < count) {
            places.end = static_cast<std::uint32_t>(std::uint64_t{facts.blocks} * (i + 1) / count);
        }
    }
    return ranges;
}

std::vector<SnapshotRange> by_key(pg::Connection& node, const ChunkReader& reader, const TableFacts& facts,
                                  const std::optional<QualifiedName>& partition)
{
    std::vector<SnapshotRange> ranges(1);
    ranges.front().partition = partition;
    const std::uint32_t count = ranges_for(facts);
    if (count == 1) {
        return ranges;
    }
    const double percent = std::min(100.0, 100.0 * kSampledBlocks / facts.blocks);
    const pg::Result sample = node.query(fmt::format("SELECT {0} FROM {1} TABLESAMPLE SYSTEM ({2}) ORDER BY {0}",
                                                     reader.key_columns(), reader.from(ranges.front()), percent));
    for (std::uint32_t i = 1; i < count && sample.rows() > static_cast<int>(count); ++i) {
        RowKey key;
        const auto row = static_cast<int>(std::int64_t{sample.rows()} * i / count);
        for (int column = 0; column < sample.columns(); ++column) {
            key.emplace_back(sample.text(row, column));
        }
        ranges.back().upto = key;
        ranges.emplace_back().after = std::move(key);
    }
    return ranges;
}

std::int64_t estimated_rows(pg::Connection& node, const TableFacts& facts, const QualifiedName& table)
{
    const pg::Result rows = node.query(
        "SELECT CASE WHEN reltuples < 0 OR relpages = 0 THEN 0 ELSE reltuples / relpages * $2::float8 END::bigint "
        "FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass($1)",
        {table.quoted(), std::to_string(facts.blocks)});
    return rows.rows() == 0 ? 0 : rows.integer(0, 0);
}

void add_ranges(pg::Connection& node, SnapshotPlan& plan, const ChunkReader& reader,
                const std::optional<QualifiedName>& partition)
{
    const QualifiedName& table = plan.source->relation->name;
    const auto facts = table_facts(node, table, partition);
    if (!facts) {
        return; // detached just now
    }
    const bool keyed = plan.source->keyed() && facts->out_of_line;
    for (SnapshotRange& range : keyed ? by_key(node, reader, *facts, partition) : by_place(*facts)) {
        range.partition = partition;
        plan.ranges.push_back(std::move(range));
    }
    plan.estimate = plan.estimate.value_or(0) + estimated_rows(node, *facts, partition.value_or(table));
}

} // namespace

SnapshotPlan plan_snapshot(pg::Connection& node, SchemaReader& schemas, const SnapshotPart& part, std::stop_token stop)
{
    const std::shared_ptr<const Relation> relation = schemas.describe(part.leaf);
    const auto facts = relation ? table_facts(node, part.leaf) : std::nullopt;
    if (!facts) {
        throw FatalError({fmt::format("reading {} of {} into its topic", part.leaf.to_string(), node.name()),
                          "there is no such table", "Check the table, or remove it from the captured ones."});
    }
    SnapshotPlan plan;
    plan.shape = facts->shape;
    plan.source = std::make_shared<const SnapshotSource>(
        SnapshotSource{schemas.read(*relation, part.table), relation, part.group, part.bucket});
    if (part.ranges) {
        plan.ranges = *part.ranges;
        return plan;
    }
    if (!part.condition) {
        wait_for_writers(node, part.leaf, std::move(stop));
    }
    const ChunkReader reader(node, plan.source, "true", plan.shape);
    for (const std::optional<QualifiedName>& partition : holders(node, part.leaf)) {
        add_ranges(node, plan, reader, partition);
    }
    return plan;
}

} // namespace keyshift::cdc
