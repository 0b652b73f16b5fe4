#pragma once
/// How the captured tables of one node looked in the past, and which relations they were: what lets a stream that lags, or
/// that was down, read older WAL as it was written. Kept in keyshift.schema_history and keyshift.captured_relation of the
/// catalog; the stream works with the copy here, and the catalog link writes what is new.
///
/// The stream's thread asks and adds; the catalog link's thread loads and saves.

#include "core/pg/connection.hpp"
#include "core/schema.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace keyshift::cdc {

/// One look of a table.
struct SchemaEdition {
    std::shared_ptr<const TableSchema> table;
    /// The youngest transaction that had changed it when it was read.
    std::uint32_t changed_by = 0;
};

/// A relation that is, or is a partition of, a captured table that is not distributed.
struct KnownRelation {
    std::int64_t table_id = 0;
    bool own = true; ///< the table itself, not a partition of it
};

class SchemaHistory {
public:
    explicit SchemaHistory(std::string node) : node_(std::move(node)) {}

    /// Oldest first.
    std::vector<SchemaEdition> editions(std::int64_t table_id) const;
    void add(std::int64_t table_id, SchemaEdition edition);

    std::optional<KnownRelation> relation(std::uint32_t oid) const;
    void note(std::uint32_t oid, const KnownRelation& relation);
    /// The WAL shows the table under another name than the catalog has.
    void renamed(std::int64_t table_id, const QualifiedName& name);

    /// Reads the catalog's rows once, then writes what is new. Throws what the connection throws; nothing is lost by it.
    void exchange(pg::Connection& catalog);

private:
    struct Unsaved {
        std::vector<std::pair<std::int64_t, SchemaEdition>> editions;
        std::vector<std::pair<std::uint32_t, KnownRelation>> relations;
        std::vector<std::pair<std::int64_t, QualifiedName>> names;
    };
    void load(pg::Connection& catalog);
    void save(pg::Connection& catalog, const Unsaved& unsaved) const;
    void forget_saved(const Unsaved& saved);

    const std::string node_;
    mutable std::mutex mutex_;
    bool loaded_ = false;
    std::map<std::int64_t, std::vector<SchemaEdition>> editions_;
    std::map<std::uint32_t, KnownRelation> relations_;
    Unsaved unsaved_;
};

/// True when transaction `left` was numbered before `right`; transaction numbers wrap around.
constexpr bool precedes(std::uint32_t left, std::uint32_t right)
{
    return static_cast<std::int32_t>(left - right) < 0;
}

} // namespace keyshift::cdc
