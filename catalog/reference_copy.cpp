#include "catalog/reference_copy.hpp"

#include "catalog/node_access.hpp"
#include "catalog/rights.hpp"
#include "catalog/schema_copy.hpp"
#include "catalog/table_ddl.hpp"
#include "core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace keyshift::catalog {

namespace {

/// An ALTER or COMMENT that names a trigger, which the copy does not have.
bool about_trigger(const std::string& sql)
{
    return sql.starts_with("COMMENT ON TRIGGER ") ||
           (sql.starts_with("ALTER TABLE ") && sql.find(" TRIGGER ") != std::string::npos);
}

void clear_the_way(pg::Connection& node, const QualifiedName& table)
{
    const std::string what = fmt::format("making a copy of {} on {}", table.to_string(), node.name());
    if (has_rows(node, table)) {
        throw RefusedError({what, "it has rows of its own in a table of that name",
                            "Bring the rows together on one node, or drop the table there."});
    }
    try {
        node.script(fmt::format("DROP TABLE {}", table.quoted()));
    } catch (const pg::SqlError& error) {
        if (error.sqlstate() != "2BP01") {
            throw;
        }
        throw RefusedError({what,
                            "an empty table of that name is there, and other objects need it: " + error.parts().why,
                            "Drop those, or that table, then repeat."});
    }
}

void guard(pg::Connection& node, const QualifiedName& table, const std::string& token)
{
    node.script(
        fmt::format("CREATE OR REPLACE TRIGGER keyshift_reject BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {0} "
                    "FOR EACH STATEMENT EXECUTE FUNCTION keyshift.reject_reference({1}); "
                    "ALTER TABLE {0} ENABLE ALWAYS TRIGGER keyshift_reject",
                    table.quoted(), quote_literal(token)));
}

void append(std::vector<std::string>& all, const std::vector<std::string>& more)
{
    all.insert(all.end(), more.begin(), more.end());
}

/// The copy's token; "" where there is none.
std::string known_token(pg::Connection& node, const QualifiedName& table)
{
    const pg::Result rows = node.query(
        "SELECT token FROM keyshift.local_reference WHERE root = pg_catalog.to_regclass($1)", {table.quoted()});
    return rows.rows() == 0 ? std::string() : std::string(rows.text(0, 0));
}

} // namespace

std::vector<CapturedTable> reference_tables(pg::Connection& catalog)
{
    std::vector<CapturedTable> left = tables(catalog);
    std::erase_if(left, [](const CapturedTable& table) { return !table.reference; });
    std::map<QualifiedName, TableDefinition> definitions;
    for (const CapturedTable& table : left) {
        pg::Connection home(node(catalog, table.node).connection("reference tables"));
        definitions[table.name] = read_table(home, table.name);
    }
    return referenced_first(std::move(left), definitions);
}

std::vector<CapturedTable> referenced_first(std::vector<CapturedTable> left,
                                            const std::map<QualifiedName, TableDefinition>& definitions)
{
    std::vector<CapturedTable> ordered;
    while (!left.empty()) {
        const auto waits = [&](const CapturedTable& table) {
            const auto& constraints = definitions.at(table.name).constraints;
            return std::any_of(constraints.begin(), constraints.end(), [&](const ConstraintDefinition& key) {
                return key.kind == 'f' && key.referenced != table.name &&
                       std::any_of(left.begin(), left.end(),
                                   [&](const CapturedTable& other) { return other.name == key.referenced; });
            });
        };
        const auto ready = std::find_if_not(left.begin(), left.end(), waits);
        const auto next = ready == left.end() ? left.begin() : ready;
        ordered.push_back(std::move(*next));
        left.erase(next);
    }
    return ordered;
}

TableDefinition definition_of_copy(TableDefinition home)
{
    home.triggers.clear();
    std::erase_if(home.alterations, about_trigger);
    std::erase_if(home.comments, about_trigger);
    for (ConstraintDefinition& constraint : home.constraints) {
        if (constraint.kind == 'f' && constraint.definition.find(" DEFERRABLE") == std::string::npos) {
            constexpr std::string_view kNotValid = " NOT VALID";
            if (constraint.definition.ends_with(kNotValid)) {
                constraint.definition.resize(constraint.definition.size() - kNotValid.size());
            }
            constraint.definition += " DEFERRABLE";
        }
    }
    return home;
}

std::vector<std::string> make_reference_copy(pg::Connection& node, const TableDefinition& definition, const Node& home)
{
    const QualifiedName& name = definition.name;
    node.query("DELETE FROM keyshift.local_reference r WHERE NOT EXISTS "
               "(SELECT FROM pg_catalog.pg_class c WHERE c.oid = r.root)");
    std::vector<std::string> warnings;
    std::string token = known_token(node, name);
    if (token.empty()) {
        if (table_exists(node, name)) {
            clear_the_way(node, name);
        }
        const TableDefinition copy = definition_of_copy(definition);
        create_bare_table(node, copy, {});
        if (std::string warning = set_owner(node, copy); !warning.empty()) {
            warnings.push_back(std::move(warning));
        }
        append(warnings, complete_table(node, copy));
        token = node.query("SELECT pg_catalog.gen_random_uuid()").text(0, 0);
    }
    node.query(
        "INSERT INTO keyshift.local_reference (root, token, home, host, port, dbname) "
        "VALUES ($1::regclass, $2, $3, $4, $5::int, $6) ON CONFLICT (root) DO UPDATE SET home = excluded.home, "
        "host = excluded.host, port = excluded.port, dbname = excluded.dbname",
        {name.quoted(), token, home.name, home.address.host, std::to_string(home.address.port), home.address.dbname});
    guard(node, name, token);
    return warnings;
}

std::vector<std::string> make_reference_copies(pg::Connection& catalog, const Node& added, pg::Connection& to)
{
    std::vector<std::string> warnings;
    for (const CapturedTable& table : reference_tables(catalog)) {
        if (table.node == added.name) {
            continue;
        }
        const Node home = node(catalog, table.node);
        pg::Connection from(home.connection("reference copy"));
        append(warnings, copy_prerequisites(from, to));
        refuse_missing(fmt::format("making a copy of {} on {}", table.name.to_string(), added.name),
                       missing_to_make(to, read_table(from, table.name)));
        append(warnings, make_reference_copy(to, read_table(from, table.name), home));
    }
    return warnings;
}

bool is_guarded_copy(pg::Connection& node, const QualifiedName& table)
{
    return node
        .query(
            "SELECT EXISTS (SELECT FROM keyshift.local_reference r JOIN pg_catalog.pg_trigger t ON t.tgrelid = r.root "
            "WHERE r.root = pg_catalog.to_regclass($1) AND t.tgname = 'keyshift_reject' AND t.tgenabled = 'A')",
            {table.quoted()})
        .boolean(0, 0);
}

std::string shape_of_table(pg::Connection& node, const QualifiedName& table)
{
    const pg::Result rows = node.query(
        "SELECT pg_catalog.string_agg(pg_catalog.format('%I %s%s%s%s', a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), "
        "    CASE WHEN a.attnotnull THEN ' NOT NULL' END, CASE WHEN a.attgenerated <> '' THEN ' GENERATED' END, "
        "    CASE WHEN a.attidentity = 'a' THEN ' IDENTITY' END), ', ' ORDER BY a.attname) || ', PRIMARY KEY (' || coalesce(("
        "    SELECT pg_catalog.string_agg(pg_catalog.quote_ident(k.attname), ', ' ORDER BY n.place) FROM pg_catalog.pg_index i, "
        "    pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY n(number, place) JOIN pg_catalog.pg_attribute k ON k.attnum = n.number "
        "    WHERE i.indrelid = a.attrelid AND k.attrelid = a.attrelid AND i.indisprimary), '') || ')' "
        "FROM pg_catalog.pg_attribute a WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped "
        "GROUP BY a.attrelid",
        {table.quoted()});
    return rows.rows() == 0 ? std::string() : std::string(rows.text(0, 0));
}

} // namespace keyshift::catalog
