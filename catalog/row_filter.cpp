#include "catalog/option_check.hpp"

#include "catalog/rows.hpp"
#include "core/error.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keyshift::catalog {

namespace {

/// The condition as the publication has it; empty: none, or the table is not in it.
bool published_as(pg::Connection& node, const std::string& publication, const QualifiedName& table,
                  const std::string& where)
{
    // PostgreSQL rewrites a condition, so only "none" can be compared.
    return where.empty() &&
           node.query(
                   "SELECT EXISTS (SELECT FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid "
                   "WHERE p.pubname = $1 AND r.prrelid = $2::regclass AND r.prqual IS NULL)",
                   {publication, table.quoted()})
               .boolean(0, 0);
}

std::vector<std::string> filter_columns(pg::Connection& node, const std::string& publication,
                                        const QualifiedName& table)
{
    const pg::Result rows = node.query(
        "SELECT a.attname FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid "
        "JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_publication_rel'::regclass AND d.objid = r.oid "
        "AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = r.prrelid AND d.refobjsubid > 0 "
        "JOIN pg_catalog.pg_attribute a ON a.attrelid = r.prrelid AND a.attnum = d.refobjsubid "
        "WHERE p.pubname = $1 AND r.prrelid = $2::regclass ORDER BY a.attnum",
        {publication, table.quoted()});
    std::vector<std::string> names;
    for (int row = 0; row < rows.rows(); ++row) {
        names.emplace_back(rows.text(row, 0));
    }
    return names;
}

void refuse_absent_columns(const std::string& what, pg::Connection& node, const std::string& publication,
                           const QualifiedName& name)
{
    const OptionTable table = read_option_table(node, name);
    for (const std::string& column : filter_columns(node, publication, name)) {
        const auto found = std::ranges::find(table.columns, column, &OptionTable::Column::name);
        if (found == table.columns.end() || !found->identity) {
            throw RefusedError(
                {what,
                 fmt::format("--where uses column {}, which is not in the replica identity: PostgreSQL would refuse "
                             "every UPDATE and DELETE of the table",
                             column),
                 fmt::format("ALTER TABLE {} REPLICA IDENTITY FULL; or an index that has {} too.", name.quoted(),
                             column)});
        }
    }
}

} // namespace

void publish_rows(const std::string& what, pg::Connection& node, const std::string& publication,
                  const QualifiedName& table, const std::string& where)
{
    if (published_as(node, publication, table, where)) {
        return;
    }
    const std::string name = quote_identifier(publication);
    if (node.query(
                "SELECT EXISTS (SELECT FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid "
                "WHERE p.pubname = $1 AND r.prrelid = $2::regclass)",
                {publication, table.quoted()})
            .boolean(0, 0)) {
        node.script(fmt::format("ALTER PUBLICATION {} DROP TABLE ONLY {}", name, table.quoted()));
    }
    try {
        // The line breaks end a comment in the condition. As a SELECT first: it may not close the parenthesis and go on.
        if (!where.empty()) {
            node.query(fmt::format("SELECT FROM {} WHERE ({}\n) LIMIT 0", table.quoted(), where), {});
        }
        node.query(fmt::format("ALTER PUBLICATION {} ADD TABLE ONLY {}{}", name, table.quoted(),
                               where.empty() ? "" : fmt::format(" WHERE ({}\n)", where)),
                   {});
    } catch (const pg::SqlError& error) {
        if (where.empty()) {
            throw;
        }
        throw RefusedError({what + ": --where", error.parts().why,
                            "Write a condition on the table's columns, as after WHERE, of built-in functions that are "
                            "immutable: PostgreSQL evaluates it as the publication's row filter."});
    }
    refuse_absent_columns(what, node, publication, table);
}

} // namespace keyshift::catalog
