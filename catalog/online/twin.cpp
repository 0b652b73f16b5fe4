#include "catalog/online/twin.hpp"

#include "catalog/online/follow_trigger.hpp"
#include "catalog/replaced_table.hpp"
#include "catalog/rows.hpp"
#include "catalog/table_ddl.hpp"
#include "core/error.hpp"
#include "core/failpoint.hpp"
#include "core/pg/blockers.hpp"
#include "core/pg/short_lock.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keyshift::catalog {

namespace {

/// As the server writes it into definitions: qualified, quoted where it must be.
std::string spelled(pg::Connection& node, const QualifiedName& table)
{
    return std::string(node.query("SELECT $1::regclass::text", {table.quoted()}).text(0, 0));
}

void replace_first(std::string& text, const std::string& old, const std::string& by)
{
    const std::size_t at = text.find(old);
    if (at == std::string::npos) {
        throw std::logic_error("no " + old + " in " + text);
    }
    text.replace(at, old.size(), by);
}

QualifiedName twin_name(pg::Connection& node, const QualifiedName& table)
{
    const pg::Result row = node.query("SELECT 'keyshift_copy_' || $1::regclass::oid", {table.quoted()});
    return {std::string(row.text(0, 0)), table.name};
}

std::string who_holds(pg::Connection& node, const QualifiedName& table)
{
    const std::vector<pg::Blocker> holders = pg::blockers(node, {table}, false, std::chrono::milliseconds(0));
    return holders.empty() ? "a lock on " + table.to_string() : holders.front().sentence(node.name());
}

/// Everything but what other tables' writers could wait for.
void make_bare_twin(pg::Connection& node, const DistributedRoot& root, const TableDefinition& twin)
{
    node.script("CREATE SCHEMA " + quote_identifier(twin.name.schema));
    node.script(fmt::format("GRANT USAGE, CREATE ON SCHEMA {} TO {}", quote_identifier(twin.name.schema),
                            quote_identifier(twin.owner)));
    create_bare_table(node, twin, root.key);
    set_owner(node, twin);
    DistributedRoot at_twin = root;
    at_twin.definition = twin;
    create_leaves(node, at_twin);
    TableDefinition own = twin;
    std::erase_if(own.constraints, [](const ConstraintDefinition& one) { return one.kind == 'f'; });
    complete_table(node, own);
    create_leaves(node, at_twin); // again, for the replica identity that needs the indexes
}

void add_foreign_keys(pg::Connection& node, const TableDefinition& twin, const OnlineWork& work)
{
    for (const ConstraintDefinition& key : twin.constraints) {
        if (key.kind == 'f') {
            pg::with_short_locks(
                node, [&] { add_constraint(node, twin.name, key); },
                [&] { work.show(0, "waits: " + who_holds(node, key.referenced)); }, work.stop);
        }
    }
}

void follow(pg::Connection& node, const Twin& twin, const OnlineWork& work)
{
    const QualifiedName& table = twin.root.definition.name;
    const FollowTrigger trigger = follow_trigger(node, twin.root.definition, twin.name);
    pg::with_short_locks(
        node,
        [&] {
            node.script(trigger.function);
            node.script(trigger.attach);
        },
        [&] { work.show(0, "waits: " + who_holds(node, table)); }, work.stop);
}

} // namespace

std::string prepared_name(const ConstraintDefinition& constraint)
{
    return "keyshift_" + constraint.name.substr(0, 54);
}

bool can_be_prepared(pg::Connection& node, const IncomingForeignKey& key)
{
    return node.query("SELECT relkind = 'r' FROM pg_class WHERE oid = $1::regclass", {key.table.quoted()})
        .boolean(0, 0);
}

TableDefinition definition_of_twin(pg::Connection& node, const TableDefinition& table, const QualifiedName& name)
{
    TableDefinition twin = table;
    twin.name = name;
    for (ColumnDefinition& column : twin.columns) {
        column.identity = '\0';
        column.sequence_options.clear();
    }
    std::erase_if(twin.constraints, [&](const ConstraintDefinition& one) { return one.referenced == table.name; });
    const std::string first = " ON " + spelled(node, table.name) + " USING ";
    for (IndexDefinition& index : twin.indexes) {
        replace_first(index.definition, first, " ON " + name.quoted() + " USING ");
    }
    twin.triggers.clear();
    twin.alterations.clear();
    twin.comments.clear();
    twin.grants.clear();
    return twin;
}

void check_replaceable(pg::Connection& node, const TableDefinition& table)
{
    const std::string what = fmt::format("replacing {} on {} while it is used", table.name.to_string(), node.name());
    const pg::Result key = node.query("SELECT i.indimmediate FROM pg_index i WHERE i.indrelid = $1::regclass AND "
                                      "i.indisprimary AND i.indisvalid",
                                      {table.name.quoted()});
    if (key.rows() == 0 || !key.boolean(0, 0)) {
        throw RefusedError({what, key.rows() == 0 ? "it has no primary key" : "its primary key is deferrable",
                            "Repeat with --offline: one transaction, under a lock."});
    }
    // What a strict table binds its owner by is taken off for the while.
    if (node.query(
                "SELECT row_security_active($1::regclass) AND NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = $1::regclass "
                "AND polname IN ('keyshift_all', 'keyshift_owner'))",
                {table.name.quoted()})
            .boolean(0, 0)) {
        throw RefusedError({what, "its row security policies hide rows from this role",
                            "Use a role that has BYPASSRLS, or owns the table without FORCE ROW LEVEL SECURITY."});
    }
    if (const std::vector<std::string> dependents = dependents_of(node, table.name); !dependents.empty()) {
        throw RefusedError({what, "other objects depend on the table as it is: " + join(dependents),
                            "Drop them, repeat the command, and make them again."});
    }
}

Twin make_twin(pg::Connection& node, const DistributedRoot& root, const OnlineWork& work)
{
    Twin twin{root, twin_name(node, root.definition.name), {}};
    twin.incoming = read_incoming_foreign_keys(node, root.definition.name);
    try {
        const TableDefinition definition = definition_of_twin(node, root.definition, twin.name);
        pg::Transaction transaction(node);
        make_bare_twin(node, root, definition);
        transaction.commit();
        failpoint("online.twin.made");
        add_foreign_keys(node, definition, work);
        follow(node, twin, work);
        failpoint("online.twin.followed");
    } catch (const Error&) {
        drop_twin(node, root.definition.name);
        throw;
    }
    return twin;
}

void prepare_references(pg::Connection& node, const Twin& twin, const OnlineWork& work)
{
    const std::string first = spelled(node, twin.root.definition.name);
    const std::string second = spelled(node, twin.name);
    for (const IncomingForeignKey& key : twin.incoming) {
        if (!can_be_prepared(node, key)) {
            continue;
        }
        std::string definition = key.constraint.definition;
        replace_first(definition, ") REFERENCES " + first + "(", ") REFERENCES " + second + "(");
        const bool valid = !definition.ends_with(" NOT VALID");
        const std::string constraint = quote_identifier(prepared_name(key.constraint));
        const std::string add = fmt::format("ALTER TABLE {} ADD CONSTRAINT {} {}{}", key.table.quoted(), constraint,
                                            definition, valid ? " NOT VALID" : "");
        pg::with_short_locks(
            node, [&] { node.script(add); }, [&] { work.show(1, "waits: " + who_holds(node, key.table)); }, work.stop);
        if (valid) {
            node.script(fmt::format("ALTER TABLE {} VALIDATE CONSTRAINT {}", key.table.quoted(), constraint));
        }
    }
}

TransientError changed_meanwhile(pg::Connection& node, const QualifiedName& table)
{
    return TransientError({fmt::format("replacing {} on {}", table.to_string(), node.name()),
                           "its definition was changed while its rows were copied; the table was left as it is",
                           "Repeat the command."});
}

void check_columns(pg::Connection& node, const Twin& twin)
{
    const std::vector<std::string> columns = twin.root.definition.writable_columns();
    const std::int64_t there =
        node.query("SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass($1) AND NOT attisdropped "
                   "AND attname = ANY ($2::text[])",
                   {twin.root.definition.name.quoted(), write_array(columns)})
            .integer(0, 0);
    if (there != static_cast<std::int64_t>(columns.size())) {
        throw changed_meanwhile(node, twin.root.definition.name);
    }
}

void drop_twin(pg::Connection& node, const QualifiedName& table)
{
    const std::string schema = twin_name(node, table).schema;
    const auto is_there = [&] {
        return node.query("SELECT to_regnamespace($1) IS NOT NULL", {quote_identifier(schema)}).boolean(0, 0);
    };
    if (!is_there()) {
        return;
    }
    // The triggers first, by themselves: without them nobody who writes the table needs the rest.
    pg::with_short_locks(node,
                         [&] {
                             node.script(fmt::format("DROP TRIGGER IF EXISTS keyshift_z_follow ON {0}; "
                                                     "DROP TRIGGER IF EXISTS keyshift_z_follow_truncate ON {0}",
                                                     table.quoted()));
                         },
                         {}, {});
    pg::with_short_locks(node, [&] { node.script(fmt::format("DROP SCHEMA {} CASCADE", quote_identifier(schema))); },
                         {}, {});
}

} // namespace keyshift::catalog
