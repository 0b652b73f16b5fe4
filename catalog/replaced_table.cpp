#include "catalog/replaced_table.hpp"

#include "core/error.hpp"

#include <fmt/format.h>

namespace keyshift::catalog {

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

void release_sequences(pg::Connection& connection, const std::vector<OwnedSequence>& sequences)
{
    for (const OwnedSequence& sequence : sequences) {
        if (!sequence.identity) {
            connection.script(fmt::format("ALTER SEQUENCE {} OWNED BY NONE", sequence.name.quoted()));
        }
    }
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

void adopt_sequences(pg::Connection& from, pg::Connection& to, const QualifiedName& table)
{
    std::vector<OwnedSequence> sequences = read_sequences(from, table);
    std::erase_if(sequences, [](const OwnedSequence& one) { return one.identity; });
    restore_sequences(to, table, sequences);
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

std::vector<std::string> dependents_of(pg::Connection& connection, const QualifiedName& table)
{
    const pg::Result rows = connection.query(
        "SELECT DISTINCT pg_describe_object(CASE WHEN d.classid = 'pg_rewrite'::regclass THEN 'pg_class'::regclass::oid ELSE d.classid END, "
        "  coalesce(r.ev_class, d.objid), CASE WHEN r.oid IS NULL THEN d.objsubid ELSE 0 END) "
        "FROM pg_depend d LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid "
        "LEFT JOIN pg_policy p ON d.classid = 'pg_policy'::regclass AND p.oid = d.objid "
        "WHERE d.deptype = 'n' AND (p.oid IS NULL OR p.polrelid <> $1::regclass) "
        "AND ((d.refclassid = 'pg_class'::regclass AND d.refobjid = $1::regclass) "
        "  OR (d.refclassid = 'pg_type'::regclass AND d.refobjid IN (SELECT unnest(ARRAY[t.oid, t.typarray]) FROM pg_type t WHERE t.typrelid = $1::regclass))) "
        "AND (d.classid IN ('pg_rewrite'::regclass, 'pg_proc'::regclass, 'pg_type'::regclass, 'pg_policy'::regclass) "
        "  OR (d.classid = 'pg_class'::regclass AND d.objid <> $1::regclass))",
        {table.quoted()});
    std::vector<std::string> names;
    for (int row = 0; row < rows.rows(); ++row) {
        names.emplace_back(rows.text(row, 0));
    }
    return names;
}

void drop_replaced(pg::Connection& connection, const QualifiedName& table, const QualifiedName& stands_at)
{
    try {
        connection.script(fmt::format("DROP TABLE {}", stands_at.quoted()));
    } catch (const pg::SqlError& error) {
        if (error.sqlstate() != "2BP01") {
            throw;
        }
        throw RefusedError(
            {fmt::format("replacing {} on {}", table.to_string(), connection.name()),
             "other objects depend on the table as it is: " + error.parts().why + "; nothing was changed",
             "Drop those views or functions, repeat the command, and make them again."});
    }
}

} // namespace keyshift::catalog
