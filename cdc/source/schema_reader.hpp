#pragma once
/// Relation message -> what its events need: the logical table, bucket, key, nullability, defaults, types. Reads the node's
/// own catalogs. One thread; one connection, lent by the caller.

#include "cdc/source/captured_relation.hpp"
#include "cdc/source/captured_tables.hpp"
#include "cdc/source/type_reader.hpp"

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace keyshift::cdc {

/// Numbers of schema objects, unique in the process's stream of one node.
using SchemaVersions = std::atomic<std::uint64_t>;

class SchemaReader {
public:
    SchemaReader(pg::Connection& node, SchemaVersions& versions) : node_(node), types_(node), versions_(versions) {}

    /// Which captured table a relation belongs to, without its schema; nullopt: none.
    struct Place {
        QualifiedName root;
        std::string group;
        BucketId bucket{};
    };
    std::optional<Place> locate(const Relation& relation, const CapturedTables& tables);

    /// The table of a located relation. Leaves that look the same share one object.
    /// Throws FatalError when the replica identity cannot give the key of an old row.
    std::shared_ptr<const TableSchema> read(const Relation& relation, const QualifiedName& root);

    /// What a relation message of this table would say now (for rows that are read, not streamed); nullptr: no such table.
    std::shared_ptr<const Relation> describe(const QualifiedName& table);

private:
    std::optional<QualifiedName> top_parent(std::uint32_t oid);
    void read_columns(std::uint32_t oid, TableSchema& table);
    /// The primary key; without one the first unique index, by name, whose columns are all NOT NULL: others, partial and
    /// expression indexes do not tell rows apart. The replica identity's index goes first.
    void read_key(std::uint32_t oid, TableSchema& table);
    std::uint32_t table_oid(const Relation& relation, const QualifiedName& root);

    pg::Connection& node_;
    TypeReader types_;
    SchemaVersions& versions_;
    std::map<QualifiedName, std::shared_ptr<const TableSchema>> latest_;
};

} // namespace keyshift::cdc
