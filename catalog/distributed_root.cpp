#include "catalog/distributed_root.hpp"

#include "catalog/node_access.hpp"
#include "catalog/replaced_table.hpp"
#include "catalog/rows.hpp"
#include "catalog/strict.hpp"
#include "catalog/table_ddl.hpp"
#include "core/error.hpp"

#include <fmt/format.h>

#include <optional>

namespace keyshift::catalog {

void create_leaves(pg::Connection& connection, const DistributedRoot& root)
{
    for (const BucketId bucket : root.group.buckets.numbers()) {
        create_placeholder(connection, root.definition.name, root.group, bucket);
    }
}

void join_group(pg::Connection& connection, const Node& node, const DistributedRoot& root)
{
    const QualifiedName& name = root.definition.name;
    for (const BucketId bucket : root.group.buckets.numbers()) {
        if (root.placement.at(bucket).node != node.name) {
            create_reject_trigger(connection, leaf_name(name, bucket), root.group.name, bucket, "");
        }
    }
    write_group_state(connection, node, root.group, root.placement, root.addresses);
    register_table(connection, name, root.group, root.key, root.captured);
    if (root.captured) {
        add_to_publication(connection, node.slot, name);
    }
}

namespace {

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
    release_sequences(connection, sequences);
    QualifiedName aside{"keyshift", "before_distribution"};
    connection.script(fmt::format("ALTER TABLE {} RENAME TO {}; ALTER TABLE {} SET SCHEMA {}", table.quoted(),
                                  quote_identifier(aside.name), QualifiedName{table.schema, aside.name}.quoted(),
                                  quote_identifier(aside.schema)));
    return aside;
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
                       const std::map<BucketId, Placement>& placement,
                       const std::map<std::string, pg::Address>& addresses)
{
    for (const BucketId bucket : group.buckets.numbers()) {
        const Placement& place = placement.at(bucket);
        const bool owner = place.node == node.name;
        // A row that is there is this node's own truth: the catalog does not overrule it.
        connection.query(
            "INSERT INTO keyshift.local_bucket (group_name, bucket, state, epoch, open_lsn, open_xid) "
            "VALUES ($1, $2::int, $3, $4::bigint, $5::pg_lsn, CASE WHEN $3 = 'open' THEN pg_catalog.pg_current_xact_id() END) ON CONFLICT DO NOTHING",
            {group.name, std::to_string(number(bucket)), owner ? "open" : "closed",
             std::to_string(owner ? number(place.epoch) : 0),
             owner ? pg::Parameter("0/0") : pg::Parameter(std::nullopt)});
        write_local_placement(connection, group.name, bucket, place, addresses.at(place.node));
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
    if (root.strict) {
        append(warnings, {make_strict(connection, root.definition.name, root.group.name)});
    }
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
    drop_replaced(connection, name, aside);
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
    if (root.strict) {
        append(warnings, {make_strict(connection, name, root.group.name)});
    }
    connection.script(fmt::format("ANALYZE {}", name.quoted()));
    return warnings;
}

} // namespace keyshift::catalog
