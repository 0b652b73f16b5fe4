#include "catalog/online/swap.hpp"

#include "catalog/node_access.hpp"
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

std::string shape_of(const TableDefinition& table, const std::vector<IncomingForeignKey>& incoming)
{
    std::string shape = table.owner + table.replica_identity + table.replica_identity_index;
    for (const ColumnDefinition& one : table.columns) {
        shape += fmt::format("\n{} {} {} {} {} {} {} {}", one.name, one.type, one.collation, one.not_null,
                             one.default_expression, int{one.generated}, int{one.identity}, one.sequence_options);
    }
    for (const ConstraintDefinition& one : table.constraints) {
        shape += "\n" + one.name + " " + one.definition;
    }
    for (const IndexDefinition& one : table.indexes) {
        shape += "\n" + one.definition;
    }
    for (const IncomingForeignKey& one : incoming) {
        shape += "\n" + one.table.quoted() + one.constraint.name + one.constraint.definition;
    }
    return shape;
}

namespace {

class Swap {
public:
    Swap(pg::Connection& node, const std::string& publication, const Twin& twin)
        : node_(node), publication_(publication), twin_(twin), table_(twin.root.definition.name)
    {
    }

    /// Locks everything first, so that a lock that is not got costs nothing but a wait.
    void lock()
    {
        std::string tables = table_.quoted();
        for (const IncomingForeignKey& key : twin_.incoming) {
            tables += ", " + key.table.quoted();
        }
        node_.script("LOCK TABLE " + tables + " IN ACCESS EXCLUSIVE MODE");
        definition_ = read_table(node_, table_);
        if (shape_of(definition_, read_incoming_foreign_keys(node_, table_)) !=
            shape_of(twin_.root.definition, twin_.incoming)) {
            throw changed_meanwhile(node_, table_);
        }
    }

    std::vector<std::string> replace()
    {
        const std::vector<OwnedSequence> sequences = read_sequences(node_, table_);
        const std::vector<std::string> publications = publications_of(node_, table_);
        release_sequences(node_, sequences);
        for (const IncomingForeignKey& key : twin_.incoming) {
            node_.script(fmt::format("ALTER TABLE {} DROP CONSTRAINT {}", key.table.quoted(),
                                     quote_identifier(key.constraint.name)));
        }
        drop_replaced(node_, table_, table_);
        move_in();
        add_identity();
        restore_sequences(node_, table_, sequences);
        point_at_twin();
        for (const std::string& publication : publications) {
            if (publication != publication_) {
                add_to_publication(node_, publication, table_);
            }
        }
        return complete();
    }

private:
    /// The root and its leaves, with their indexes, which have the names that they will keep.
    void move_in()
    {
        const pg::Result rows =
            node_.query("SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                        "WHERE c.oid = $1::regclass OR c.oid IN (SELECT relid FROM pg_partition_tree($1::regclass))",
                        {twin_.name.quoted()});
        std::string script;
        for (int row = 0; row < rows.rows(); ++row) {
            const QualifiedName one{std::string(rows.text(row, 0)), std::string(rows.text(row, 1))};
            script += fmt::format("ALTER TABLE {} SET SCHEMA {};", one.quoted(), quote_identifier(table_.schema));
        }
        node_.script(script + "DROP SCHEMA " + quote_identifier(twin_.name.schema) + " CASCADE");
    }

    void add_identity()
    {
        for (const ColumnDefinition& column : definition_.columns) {
            if (column.identity != '\0') {
                node_.script(fmt::format("ALTER TABLE {} ALTER COLUMN {} ADD GENERATED {} AS IDENTITY ({})",
                                         table_.quoted(), quote_identifier(column.name),
                                         column.identity == 'a' ? "ALWAYS" : "BY DEFAULT", column.sequence_options));
            }
        }
    }

    void point_at_twin()
    {
        for (const ConstraintDefinition& key : definition_.constraints) {
            if (key.kind == 'f' && key.referenced == table_) {
                add_constraint(node_, table_, key);
            }
        }
        for (const IncomingForeignKey& key : twin_.incoming) {
            if (can_be_prepared(node_, key)) {
                node_.script(fmt::format("ALTER TABLE {} RENAME CONSTRAINT {} TO {}", key.table.quoted(),
                                         quote_identifier(prepared_name(key.constraint)),
                                         quote_identifier(key.constraint.name)));
            } else {
                add_constraint(node_, key.table, key.constraint);
            }
        }
    }

    /// Triggers, settings, comments, grants: keys and indexes are there.
    std::vector<std::string> complete()
    {
        TableDefinition rest = definition_;
        rest.constraints.clear();
        rest.indexes.clear();
        rest.replica_identity = 'd';
        return complete_table(node_, rest);
    }

    pg::Connection& node_;
    const std::string& publication_;
    const Twin& twin_;
    const QualifiedName& table_;
    TableDefinition definition_;
};

} // namespace

std::vector<std::string> swap_twin(pg::Connection& node, const std::string& publication, const Twin& twin,
                                   const std::function<void()>& before_lock, const std::function<void()>& after,
                                   const OnlineWork& work)
{
    const QualifiedName& table = twin.root.definition.name;
    std::vector<std::string> warnings;
    pg::with_short_locks(
        node,
        [&] {
            Swap swap(node, publication, twin);
            before_lock();
            swap.lock();
            warnings = swap.replace();
            after();
            failpoint("online.swap.before_commit");
        },
        [&] {
            check_columns(node, twin);
            std::vector<QualifiedName> tables{table};
            for (const IncomingForeignKey& key : twin.incoming) {
                tables.push_back(key.table);
            }
            const std::vector<pg::Blocker> holders = pg::blockers(node, tables, false, std::chrono::milliseconds(0));
            work.show(1, holders.empty() ? "waits: a lock on " + table.to_string()
                                         : "waits: " + holders.front().sentence(node.name()));
        },
        work.stop);
    return warnings;
}

} // namespace keyshift::catalog
