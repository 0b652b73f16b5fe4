#pragma once
/// Relation message -> what its events need: the logical table, bucket, key, nullability, defaults, types. Reads the node's
/// own catalogs. One thread; one connection, lent by the caller.

#include "cdc/source/captured_relation.hpp"
#include "cdc/source/captured_tables.hpp"
#include "cdc/source/schema_history.hpp"
#include "cdc/source/type_reader.hpp"

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace keyshift::cdc {

/// Numbers of schema objects, unique in the process's stream of one node.
using SchemaVersions = std::atomic<std::uint64_t>;

class SchemaReader {
public:
    /// `history`: where renamed tables and former partitions are known from; nullptr where nothing old is read.
    SchemaReader(pg::Connection& node, SchemaVersions& versions, SchemaHistory* history = nullptr)
        : node_(node), types_(node), versions_(versions), history_(history)
    {
    }

    /// Which captured table a relation belongs to, without its schema; nullopt: none.
    struct Place {
        std::int64_t table_id = 0;
        QualifiedName root;
        std::string group;
        BucketId bucket{};
    };
    std::optional<Place> locate(const Relation& relation, const CapturedTables& tables);

    /// The table of a relation that was described just now. Tables that look the same share one object.
    /// Throws FatalError when the replica identity cannot give the key of an old row.
    std::shared_ptr<const TableSchema> read(const Relation& relation, const QualifiedName& root);

    /// What the node's catalogs say now of a relation that the WAL announced, perhaps long ago. By column name.
    struct Observation {
        TableSchema table;
        std::vector<bool> known;      ///< by column: there is one of that name now
        bool key_complete = true;     ///< each column of today's key is among the relation's
        bool same = false;            ///< a relation message would say the same today
        std::uint32_t changed_by = 0; ///< the youngest transaction that changed columns, defaults, indexes or enums
    };
    Observation observe(const Relation& relation, const QualifiedName& root);
    /// One object for all that look the same, with a version of its own.
    std::shared_ptr<const TableSchema> share(TableSchema table);

    /// What a relation message of this table would say now (for rows that are read, not streamed); nullptr: no such table.
    std::shared_ptr<const Relation> describe(const QualifiedName& table);
    /// Where the WAL ends now.
    Lsn present_position();
    /// Every relation whose changes are published as part of one of these tables that are not distributed.
    void note_relations(const CapturedTables& tables, const std::string& publication);

private:
    std::optional<Place> locate_known(const Relation& relation, const CapturedTables& tables) const;
    void note(std::uint32_t oid, const KnownRelation& relation);
    std::optional<QualifiedName> top_parent(std::uint32_t oid);
    std::shared_ptr<const Relation> describe(std::uint32_t oid, const QualifiedName& name);
    void read_columns(std::uint32_t oid, Observation& found);
    /// The primary key; without one the first unique index, by name, whose columns are all NOT NULL: others, partial and
    /// expression indexes do not tell rows apart. The replica identity's index goes first.
    void read_key(std::uint32_t oid, Observation& found);
    void read_order(const QualifiedName& root, TableSchema& partition);
    std::uint32_t table_oid(const Relation& relation, const QualifiedName& root);

    pg::Connection& node_;
    TypeReader types_;
    SchemaVersions& versions_;
    SchemaHistory* history_;
    std::map<QualifiedName, std::shared_ptr<const TableSchema>> latest_;
};

} // namespace keyshift::cdc
