#include "cdc/source/chunk_reader.hpp"

#include <algorithm>
#include <fmt/core.h>

namespace keyshift::cdc {

namespace {

/// A chunk is at most so many rows, and aims at so many bytes: what the stream publishes in one go.
constexpr int kMostRows = 10'000;
constexpr int kFirstRows = 1'000;
constexpr std::size_t kChunkBytes = 4U << 20U;

std::size_t bytes_of(const pg::Result& rows)
{
    std::size_t bytes = 0;
    for (int row = 0; row < rows.rows(); ++row) {
        for (int column = 0; column < rows.columns(); ++column) {
            bytes += rows.text(row, column).size();
        }
    }
    return bytes;
}

RowSnapshot current_snapshot(pg::Connection& connection)
{
    const pg::Result rows = connection.query("SELECT pg_catalog.pg_current_snapshot()::text");
    const std::optional<RowSnapshot> snapshot = RowSnapshot::parse(rows.text(0, 0));
    if (!snapshot) {
        throw FatalError({"reading rows for the topic on " + connection.name(),
                          "pg_current_snapshot() is not as expected", "Report this."});
    }
    return *snapshot;
}

} // namespace

ChunkReader::ChunkReader(pg::Connection& connection, std::shared_ptr<const TableSchema> table, const Relation& relation,
                         const SnapshotPart& part)
    : connection_(connection), table_(std::move(table)),
      condition_(fmt::format("({}\n) AND ({}\n)", part.condition.value_or("true"), part.filter)),
      last_key_(part.last_key), previous_key_(last_key_), limit_(kFirstRows)
{
    for (const RelationColumn& column : relation.columns) {
        columns_ += (columns_.empty() ? "" : ", ") + quote_identifier(column.name);
    }
    const pg::Result kind = connection_.query("SELECT relkind = 'p' FROM pg_catalog.pg_class WHERE oid = $1::oid",
                                              {std::to_string(relation.oid)});
    source_ = (kind.rows() != 0 && kind.boolean(0, 0) ? "" : "ONLY ") + relation.name.quoted();
    for (const std::size_t index : table_->key) {
        const ColumnSchema& column = table_->columns[index];
        const pg::Result type =
            connection_.query("SELECT pg_catalog.format_type($1::oid, NULL)", {std::to_string(column.type.oid)});
        key_columns_ += (key_columns_.empty() ? "" : ", ") + quote_identifier(column.name);
        key_parameters_ += fmt::format("{}${}::{}", key_parameters_.empty() ? "" : ", ",
                                       1 + std::ranges::count(key_parameters_, '$'), type.text(0, 0));
    }
}

bool ChunkReader::read(SnapshotChunk& chunk)
{
    pg::Result rows = chunk.keyed ? by_key(chunk) : by_cursor(chunk);
    const bool more = rows.rows() == limit_;
    previous_key_ = last_key_;
    if (chunk.keyed && rows.rows() != 0) {
        last_key_.emplace();
        for (const std::size_t column : table_->key) {
            last_key_->emplace_back(rows.text(rows.rows() - 1, static_cast<int>(column)));
        }
    }
    adapt(rows);
    chunk.rows.emplace(std::move(rows));
    return more;
}

pg::Result ChunkReader::by_key(SnapshotChunk& chunk)
{
    const std::string after = last_key_ ? fmt::format("AND ({}) > ({}) ", key_columns_, key_parameters_) : "";
    const std::string sql = fmt::format("SELECT {} FROM {} WHERE ({}\n) {}ORDER BY {} LIMIT {}", columns_, source_,
                                        condition_, after, key_columns_, limit_);
    std::vector<pg::Parameter> parameters;
    if (last_key_) {
        for (const std::string& value : *last_key_) {
            parameters.emplace_back(value);
        }
    }
    pg::Transaction transaction(connection_, pg::Transaction::Isolation::repeatable_read);
    chunk.snapshot = current_snapshot(connection_);
    pg::Result rows = connection_.query(sql, parameters);
    transaction.commit();
    return rows;
}

pg::Result ChunkReader::by_cursor(SnapshotChunk& chunk)
{
    if (!cursor_) {
        cursor_.emplace(connection_, pg::Transaction::Isolation::repeatable_read);
        cursor_snapshot_ = current_snapshot(connection_);
        connection_.script(fmt::format("DECLARE rows_of_leaf NO SCROLL CURSOR FOR SELECT {} FROM {} WHERE ({}\n)",
                                       columns_, source_, condition_));
    }
    chunk.snapshot = cursor_snapshot_;
    return connection_.query(fmt::format("FETCH {} FROM rows_of_leaf", limit_));
}

void ChunkReader::adapt(const pg::Result& rows)
{
    const std::size_t row_bytes = bytes_of(rows) / static_cast<std::size_t>(std::max(rows.rows(), 1)) + 1;
    limit_ = static_cast<int>(std::clamp<std::size_t>(kChunkBytes / row_bytes, 1, kMostRows));
}

} // namespace keyshift::cdc
