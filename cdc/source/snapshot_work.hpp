#pragma once
/// Which rows are still to be read into their topic: keyshift.snapshot of one node, and its progress.

#include "core/ids.hpp"
#include "core/names.hpp"
#include "core/pg/connection.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace keyshift::cdc {

/// The rows of one bucket of one table.
struct SnapshotPart {
    std::int64_t table_id = 0;
    QualifiedName table; ///< the root
    QualifiedName leaf;  ///< where the rows are; the root itself when not distributed
    std::string group;
    BucketId bucket{};
    bool owned = true; ///< false: the bucket is another node's, nothing is read here
    std::optional<std::vector<std::string>> last_key;
    /// SQL: the rows that meet it are read once more; nullopt: the initial snapshot.
    std::optional<std::string> condition;
    std::string filter; ///< SQL: the rows that have events at all
};

/// Parts that are not done, by table and bucket.
std::vector<SnapshotPart> unfinished_parts(pg::Connection& catalog, const std::string& node);
/// Persists how far a part has come; `rows` more are in Kafka.
void save_progress(pg::Connection& catalog, const std::string& node, const SnapshotPart& part, std::int64_t rows,
                   bool done);

} // namespace keyshift::cdc
