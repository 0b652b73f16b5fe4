#include "catalog/distributed_root.hpp"

#include "catalog/node_access.hpp"
#include "catalog/rows.hpp"
#include "catalog/table_ddl.hpp"
#include "core/error.hpp"

#include <fmt/format.h>

#include <optional>

namespace keyshift::catalog {

namespace {

void create_leaves(pg::Connection& connection, const DistributedRoot& root)
{
    for (std::uint32_t bucket = 0; bucket < root.group.buckets; ++bucket) {
        create_placeholder(connection, root.definition.name, root.group, BucketId{bucket});
    }
}

/// What every node has beside the DDL: reject triggers on the leaves it does not own, its rows, the publication.
void join_group(pg::Connection& connection, const Node& node, const DistributedRoot& root)
{
    const QualifiedName& name = root.definition.name;
    for (std::uint32_t bucket = 0; bucket < root.group.buckets; ++bucket) {
        if (root.placement.at(bucket).node != node.name) {
            create_reject_trigger(connection, leaf_name(name, BucketId{bucket}), root.group.name, BucketId{bucket}, "");
        }
    }
    write_group_state(connection, node, root.group, root.placement, root.addresses);
    register_table(connection, name, root.group, root.key, root.captured);
    if (root.captured) {
        add_to_publication(connection, node.slot, name);
    }
}

/// A sequence that a column owns, with its state. Identity sequences go with the old table and are made anew.
struct OwnedSequence {
    QualifiedName name;
    std::string column;
    bool identity = false;
    std::string last_value;
    bool is_called = false;
};

std::vector<OwnedSequence> read_sequences(pg::Connection& connection, const QualifiedName& table)
{
    const pg::Result rows = connection.query(
        "SELECT n.nspname, c.relname, a.attname, d.deptype = 'i' FROM pg_catalog.pg_depend d "
        "JOIN pg_catalog.pg_class c ON c.oid = d.objid AND c.relkind = 'S' JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid "
        "WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $1::regclass AND d.deptype IN ('a', 'i')",
        {table.quoted()});
    std::vector<OwnedSequence> sequences;
    for (int row = 0; row < rows.rows(); ++row) {
        OwnedSequence sequence{{std::string(rows.text(row, 0)), std::string(rows.text(row, 1))},
                               std::string(rows.text(row, 2)),
                               rows.boolean(row, 3),
                               {},
                               false};
        const pg::Result state =
            connection.query(fmt::format("SELECT last_value, is_called FROM {}", sequence.name.quoted()));
        sequence.last_value = state.text(0, 0);
        sequence.is_called = state.boolean(0, 1);
        sequences.push_back(std::move(sequence));
    }
    return sequences;
}

void restore_sequences(pg::Connection& connection, const QualifiedName& table,
                       const std::vector<OwnedSequence>& sequences)
{
    for (const OwnedSequence& sequence : sequences) {
        if (sequence.identity) {
            connection.query("SELECT pg_catalog.setval($1::regclass, $2::bigint, $3::boolean)",
                             {sequence.name.quoted(), sequence.last_value, sequence.is_called ? "true" : "false"});
        } else {
            connection.script(fmt::format("ALTER SEQUENCE {} OWNED BY {}.{}", sequence.name.quoted(), table.quoted(),
                                          quote_identifier(sequence.column)));
        }
    }
}

std::vector<std::string> publications_of(pg::Connection& connection, const QualifiedName& table)
{
    const pg::Result rows = connection.query(
        "SELECT p.pubname FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid "
        "WHERE r.prrelid = $1::regclass",
        {table.quoted()});
    std::vector<std::string> names;
    for (int row = 0; row < rows.rows(); ++row) {
        names.emplace_back(rows.text(row, 0));
    }
    return names;
}

void lock_table(pg::Connection& connection, const QualifiedName& table)
{
    connection.script("SET LOCAL lock_timeout = '5s'");
    try {
        connection.script(fmt::format("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", table.quoted()));
    } catch (const pg::TransientSqlError& error) {
        if (error.sqlstate() != "55P03") {
            throw;
        }
        throw RefusedError({fmt::format("locking {} on {}", table.to_string(), connection.name()),
                            "other transactions held it for 5 s (55P03); nothing was changed",
                            "Find them in pg_locks and pg_stat_activity, or try again at a quieter time."});
    }
}

/// Out of the way, with its indexes and identity sequences, so that all of its names are free; its rows are read from there.
QualifiedName set_aside(pg::Connection& connection, const QualifiedName& table,
                        const std::vector<OwnedSequence>& sequences)
{
    for (const OwnedSequence& sequence : sequences) {
        if (!sequence.identity) {
            connection.script(fmt::format("ALTER SEQUENCE {} OWNED BY NONE", sequence.name.quoted()));
        }
    }
    QualifiedName aside{"keyshift", "before_distribution"};
    connection.script(fmt::format("ALTER TABLE {} RENAME TO {}; ALTER TABLE {} SET SCHEMA {}", table.quoted(),
                                  quote_identifier(aside.name), QualifiedName{table.schema, aside.name}.quoted(),
                                  quote_identifier(aside.schema)));
    return aside;
}

void drop_old(pg::Connection& connection, const QualifiedName& table, const QualifiedName& aside)
{
    try {
        connection.script(fmt::format("DROP TABLE {}", aside.quoted()));
    } catch (const pg::SqlError& error) {
        if (error.sqlstate() != "2BP01") {
            throw;
        }
        throw RefusedError(
            {fmt::format("distributing {} on {}", table.to_string(), connection.name()),
             "other objects depend on the table as it is: " + error.parts().why + "; nothing was changed",
             "Drop those views or functions, distribute, and make them again."});
    }
}

void append(std::vector<std::string>& warnings, std::vector<std::string> more)
{
    for (std::string& text : more) {
        if (!text.empty()) {
            warnings.push_back(std::move(text));
        }
    }
}

} // namespace

void write_group_state(pg::Connection& connection, const Node& node, const Group& group,
                       const std::vector<Placement>& placement, const std::map<std::string, pg::Address>& addresses)
{
    for (std::uint32_t bucket = 0; bucket < group.buckets; ++bucket) {
        const Placement& place = placement.at(bucket);
        const bool owner = place.node == node.name;
        // A row that is there is this node's own truth: the catalog does not overrule it.
        connection.query(
            "INSERT INTO keyshift.local_bucket (group_name, bucket, state, epoch, open_lsn, open_xid) "
            "VALUES ($1, $2::int, $3, $4::bigint, $5::pg_lsn, CASE WHEN $3 = 'open' THEN pg_catalog.pg_current_xact_id() END) ON CONFLICT DO NOTHING",
            {group.name, std::to_string(bucket), owner ? "open" : "closed",
             std::to_string(owner ? number(place.epoch) : 0),
             owner ? pg::Parameter("0/0") : pg::Parameter(std::nullopt)});
        write_local_placement(connection, group.name, BucketId{bucket}, place, addresses.at(place.node));
    }
}

namespace {

/// An empty plain table, or a root that a command which died left behind: it may have been made by an older definition.
void clear_the_way(pg::Connection& connection, const Node& node, const DistributedRoot& root)
{
    const QualifiedName& name = root.definition.name;
    const bool registered = is_registered_root(connection, name);
    lock_table(connection, name);
    if (has_rows(connection, name)) {
        throw RefusedError({fmt::format("table {} on {}", name.to_string(), node.name),
                            "it holds rows there too, and only one node may",
                            "Move its rows to one node or drop it on the other."});
    }
    if (registered) {
        const std::string group(
            connection.query("SELECT group_name FROM keyshift.local_table WHERE root = $1::regclass", {name.quoted()})
                .text(0, 0));
        forget_table(connection, name, group);
    }
    connection.script(fmt::format("DROP TABLE {}{}", name.quoted(), registered ? " CASCADE" : ""));
}

} // namespace

std::vector<std::string> make_empty_root(pg::Connection& connection, const Node& node, const DistributedRoot& root)
{
    const TableDefinition& table = root.definition;
    if (table_exists(connection, table.name)) {
        clear_the_way(connection, node, root);
    }
    create_bare_table(connection, table, root.key);
    std::vector<std::string> warnings;
    append(warnings, {set_owner(connection, table)});
    create_leaves(connection, root);
    append(warnings, complete_table(connection, table));
    create_leaves(connection, root); // again, for the replica identity that needs the indexes
    join_group(connection, node, root);
    return warnings;
}

std::vector<std::string> convert_table(pg::Connection& connection, const Node& node, DistributedRoot root)
{
    const QualifiedName name = root.definition.name;
    lock_table(connection, name);
    root.definition = read_table(connection, name); // as it is under the lock
    const TableDefinition& table = root.definition;
    const std::vector<IncomingForeignKey> incoming = read_incoming_foreign_keys(connection, name);
    const std::vector<OwnedSequence> sequences = read_sequences(connection, name);
    const std::vector<std::string> publications = publications_of(connection, name);
    for (const IncomingForeignKey& key : incoming) {
        connection.script(fmt::format("ALTER TABLE {} DROP CONSTRAINT {}", key.table.quoted(),
                                      quote_identifier(key.constraint.name)));
    }
    const QualifiedName aside = set_aside(connection, name, sequences);
    create_bare_table(connection, table, root.key);
    std::vector<std::string> warnings;
    append(warnings, {set_owner(connection, table)});
    create_leaves(connection, root);
    const std::string columns = quoted_list(table.writable_columns());
    connection.script(fmt::format("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM ONLY {}", name.quoted(),
                                  columns, columns, aside.quoted()));
    drop_old(connection, name, aside);
    append(warnings, complete_table(connection, table));
    create_leaves(connection, root);
    restore_sequences(connection, name, sequences);
    for (const IncomingForeignKey& key : incoming) {
        add_constraint(connection, key.table, key.constraint);
    }
    for (const std::string& publication : publications) {
        if (publication != node.slot) {
            add_to_publication(connection, publication, name);
        }
    }
    join_group(connection, node, root);
    connection.script(fmt::format("ANALYZE {}", name.quoted()));
    return warnings;
}

} // namespace keyshift::catalog
