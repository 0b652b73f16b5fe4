#include "cdc/source/chunk_reader.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <fmt/core.h>
#include <stdexcept>

namespace keyshift::cdc {

namespace {

/// What a chunk aims at, and where it is cut off: rows may be larger than those before.
constexpr std::size_t kChunkBytes = 1U << 20U;
constexpr std::size_t kMostBytes = 4 * kChunkBytes;
constexpr std::size_t kFirstRows = 1'000;
constexpr std::size_t kMostRows = 20'000;
constexpr std::uint32_t kFirstBlocks = 32;
constexpr std::uint32_t kMostBlocks = 4'096;

std::string quoted_columns(const Relation& relation)
{
    std::string columns;
    for (const RelationColumn& column : relation.columns) {
        columns += (columns.empty() ? "" : ", ") + quote_identifier(column.name);
    }
    return columns;
}

/// The next size: so that a chunk of what `bytes` came from would have kChunkBytes; at most four times as much.
template <typename Number>
Number adapted(Number present, std::size_t bytes, Number most)
{
    const std::size_t wanted = present * kChunkBytes / std::max<std::size_t>(bytes, 1);
    return static_cast<Number>(
        std::clamp<std::size_t>(wanted, 1, std::min<std::size_t>(most, std::size_t{present} * 4)));
}

std::uint32_t block_of(std::string_view ctid)
{
    std::uint32_t block = 0;
    std::from_chars(ctid.data() + 1, ctid.data() + ctid.size(), block);
    return block;
}

} // namespace

std::optional<TableFacts> table_facts(pg::Connection& connection, const QualifiedName& table,
                                      const std::optional<QualifiedName>& partition)
{
    const std::string name = table.quoted();
    const std::string rows_in = partition.value_or(table).quoted();
    const std::array<pg::Parameter, 2> parameters{pg::Parameter(name), pg::Parameter(rows_in)};
    const pg::Result rows = connection.run_prepared(
        "cdc table facts",
        "SELECT pg_catalog.pg_current_snapshot()::text, "
        "pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::bigint, "
        "pg_catalog.pg_relation_filenode(c.oid)::bigint, "
        "coalesce(pg_catalog.pg_relation_size(nullif(c.reltoastrelid, 0)), 0) > 0, "
        "(SELECT pg_catalog.md5(pg_catalog.string_agg(pg_catalog.concat_ws(' ', a.attname, a.atttypid, a.atttypmod, a.attgenerated), ',' "
        "ORDER BY a.attnum)) FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped) "
        "FROM pg_catalog.pg_class c, pg_catalog.pg_class t WHERE t.oid = pg_catalog.to_regclass($1) AND c.oid = pg_catalog.to_regclass($2) "
        "AND (c.oid = t.oid OR t.oid IN (SELECT relid FROM pg_catalog.pg_partition_ancestors(c.oid)))",
        parameters);
    if (rows.rows() == 0) {
        return std::nullopt;
    }
    const auto snapshot = RowSnapshot::parse(rows.text(0, 0));
    if (!snapshot) {
        throw FatalError({"reading rows for the topic on " + connection.name(),
                          "pg_current_snapshot() is not as expected", "Report this."});
    }
    return TableFacts{*snapshot, static_cast<std::uint32_t>(rows.integer(0, 1)),
                      static_cast<std::uint32_t>(rows.is_null(0, 2) ? 0 : rows.integer(0, 2)), rows.boolean(0, 3),
                      std::string(rows.text(0, 4))};
}

ChunkReader::ChunkReader(pg::Connection& connection, std::shared_ptr<const SnapshotSource> source,
                         const std::string& condition, std::string shape)
    : connection_(connection), source_(std::move(source)), shape_(std::move(shape)),
      columns_(quoted_columns(*source_->relation)), condition_(condition), limit_(kFirstRows), blocks_(kFirstBlocks)
{
    for (const std::size_t index : source_->table->key) {
        const ColumnSchema& column = source_->table->columns[index];
        const pg::Result type =
            connection_.query("SELECT pg_catalog.format_type($1::oid, NULL)", {std::to_string(column.type.oid)});
        key_columns_ += (key_columns_.empty() ? "" : ", ") + quote_identifier(column.name);
        key_types_.emplace_back(type.text(0, 0));
    }
}

TableChanged ChunkReader::changed() const
{
    return TableChanged({"reading rows of " + source_->relation->name.to_string() + " for its topic",
                         "the table was changed meanwhile", "It is read anew."});
}

std::string ChunkReader::from(const SnapshotRange& range) const
{
    return "ONLY " + range.partition.value_or(source_->relation->name).quoted();
}

void ChunkReader::read(std::optional<SnapshotRange>& range, SnapshotChunk& chunk, std::stop_token stop)
{
    const QualifiedName& table = source_->relation->name;
    chunk.rows = RowBatch(source_->relation->columns.size());
    pg::Transaction transaction(connection_, pg::Transaction::Isolation::repeatable_read);
    const auto before = table_facts(connection_, table, range->partition);
    if (!before || before->shape != shape_) {
        throw changed();
    }
    chunk.snapshot = before->snapshot;
    chunk.range = *range;
    bool whole = true;
    if (range->places) {
        const std::uint32_t end =
            std::min(block_of(range->places->after) + blocks_, range->places->end.value_or(UINT32_MAX));
        whole = copy(by_place(*range, end), chunk, true, stop);
        // The COPY's lock is still held where it was not cut off: what is true now was true of it.
        const auto after = whole ? table_facts(connection_, table, range->partition) : before;
        if (!after || after->filenode != range->places->filenode || (source_->keyed() && after->out_of_line)) {
            throw changed();
        }
        take_places(range, chunk, end, before->blocks, whole);
    } else {
        whole = copy(by_key(*range), chunk, false, stop);
        take_keys(range, chunk, whole);
    }
    chunk.row_count = chunk.rows.rows();
    if (whole) {
        transaction.commit();
    }
}

bool ChunkReader::copy(const std::string& sql, SnapshotChunk& chunk, bool labelled, std::stop_token stop)
{
    if (labelled) {
        chunk.rows.expect_label();
    }
    try {
        connection_.copy_out(
            "COPY (" + sql + ") TO STDOUT",
            [&](std::string_view line) {
                if (chunk.rows.bytes() > kMostBytes) {
                    throw Cut{};
                }
                chunk.rows.add(line);
            },
            std::move(stop));
    } catch (const Cut&) {
        return false;
    } catch (const std::invalid_argument& bad) {
        throw FatalError(
            {fmt::format("reading rows of {} on {}", source_->relation->name.to_string(), connection_.name()),
             bad.what(), "Check that the server is PostgreSQL 15 to 18."});
    }
    return true;
}

std::string ChunkReader::by_place(const SnapshotRange& range, std::uint32_t end) const
{
    return fmt::format("SELECT ctid{}{} FROM {} WHERE ctid > '{}'::tid AND ctid < '({},0)'::tid AND ({}\n)",
                       columns_.empty() ? "" : ", ", columns_, from(range), range.places->after, end, condition_);
}

std::string ChunkReader::key_literal(const RowKey& key) const
{
    std::string values;
    for (std::size_t i = 0; i < key_types_.size(); ++i) {
        values += fmt::format("{}{}::{}", values.empty() ? "" : ", ", quote_literal(key.at(i)), key_types_[i]);
    }
    return "(" + values + ")";
}

std::string ChunkReader::by_key(const SnapshotRange& range) const
{
    std::string bounds;
    if (!range.keys.empty()) {
        for (const RowKey& key : range.keys) {
            bounds += (bounds.empty() ? "AND ROW(" + key_columns_ + ") IN (" : ", ") + ("ROW" + key_literal(key));
        }
        bounds += ")";
    }
    if (range.keys.empty() && range.after) {
        bounds += fmt::format("AND ({}) > {} ", key_columns_, key_literal(*range.after));
    }
    if (range.keys.empty() && range.upto) {
        bounds += fmt::format("AND ({}) <= {} ", key_columns_, key_literal(*range.upto));
    }
    return fmt::format("SELECT {} FROM {} WHERE ({}\n) {}ORDER BY {} LIMIT {}", columns_, from(range), condition_,
                       bounds, key_columns_, range.keys.empty() ? std::to_string(limit_) : "ALL");
}

void ChunkReader::take_places(std::optional<SnapshotRange>& range, SnapshotChunk& chunk, std::uint32_t end,
                              std::uint32_t blocks, bool whole)
{
    SnapshotPlaces& places = *range->places;
    if (!whole) {
        places.after = chunk.rows.label();
        chunk.range.places->end = block_of(places.after) + 1; // the rest of the block may come twice
        blocks_ = std::max(blocks_ / 4, 1U);
        return;
    }
    blocks_ = adapted(blocks_, chunk.rows.bytes(), kMostBlocks);
    chunk.range.places->end = end;
    places.after = fmt::format("({},0)", end);
    if (end >= places.end.value_or(blocks)) {
        range.reset();
    }
}

RowKey ChunkReader::key_of(const SnapshotChunk& chunk, std::size_t number) const
{
    Tuple row;
    chunk.rows.read(number, row);
    RowKey key;
    for (const std::size_t column : source_->table->key) {
        key.emplace_back(row[column].text);
    }
    return key;
}

void ChunkReader::take_keys(std::optional<SnapshotRange>& range, SnapshotChunk& chunk, bool whole)
{
    const std::size_t rows = chunk.rows.rows();
    if (whole && (!range->keys.empty() || rows < limit_)) {
        range.reset();
    } else if (range->keys.empty()) {
        chunk.range.upto = range->after = key_of(chunk, rows - 1);
    } else {
        // Keys that have no row are looked for once more.
        chunk.range.keys.clear();
        for (std::size_t row = 0; row < rows; ++row) {
            std::erase(range->keys, chunk.range.keys.emplace_back(key_of(chunk, row)));
        }
    }
    limit_ = adapted(std::max<std::size_t>(rows, 1), chunk.rows.bytes(), kMostRows);
}

} // namespace keyshift::cdc
