#include "catalog/table_definition.hpp"

#include "catalog/rows.hpp"
#include "core/error.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keyshift::catalog {

namespace {

/// First character of a "char" column; 0 for the empty one.
char letter(std::string_view text)
{
    return text.empty() ? '\0' : text.front();
}

constexpr const char* kColumns = R"sql(
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), pg_catalog.format_type(a.atttypid, NULL),
       CASE WHEN a.attcollation <> t.typcollation THEN
           (SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.collname)
            FROM pg_catalog.pg_collation c JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace WHERE c.oid = a.attcollation) END,
       a.attnotnull, pg_catalog.pg_get_expr(d.adbin, d.adrelid), a.attgenerated, a.attidentity,
       CASE WHEN a.attstorage <> t.typstorage THEN
           CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END,
       (SELECT pg_catalog.format('SEQUENCE NAME %I.%I INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s %s',
               n.nspname, c.relname, s.seqincrement, s.seqmin, s.seqmax, s.seqstart, s.seqcache, CASE WHEN s.seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END)
        FROM pg_catalog.pg_depend o JOIN pg_catalog.pg_sequence s ON s.seqrelid = o.objid JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE o.classid = 'pg_class'::regclass AND o.refclassid = 'pg_class'::regclass AND o.deptype = 'i'
          AND o.refobjid = a.attrelid AND o.refobjsubid = a.attnum)
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)sql";

void read_columns(pg::Connection& connection, const std::string& oid, TableDefinition& table)
{
    const pg::Result rows = connection.query(kColumns, {oid});
    for (int row = 0; row < rows.rows(); ++row) {
        ColumnDefinition column;
        column.name = rows.text(row, 0);
        column.type = rows.text(row, 1);
        column.element_type = rows.text(row, 2);
        column.collation = rows.text(row, 3);
        column.not_null = rows.boolean(row, 4);
        column.default_expression = rows.text(row, 5);
        column.generated = letter(rows.text(row, 6));
        column.identity = letter(rows.text(row, 7));
        column.storage = rows.text(row, 8);
        column.sequence_options = rows.text(row, 9);
        table.columns.push_back(std::move(column));
    }
}

constexpr const char* kConstraints = R"sql(
SELECT c.conname, c.contype, pg_catalog.pg_get_constraintdef(c.oid),
       (SELECT pg_catalog.array_agg(a.attname ORDER BY k.position) FROM pg_catalog.unnest(c.conkey) WITH ORDINALITY k(number, position)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.number),
       rn.nspname, r.relname,
       (SELECT pg_catalog.array_agg(a.attname ORDER BY k.position) FROM pg_catalog.unnest(c.confkey) WITH ORDINALITY k(number, position)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.number),
       NOT c.connoinherit OR c.contype <> 'c', tn.nspname, t.relname
FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_class t ON t.oid = c.conrelid JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
LEFT JOIN pg_catalog.pg_class r ON r.oid = c.confrelid LEFT JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
WHERE c.contype IN ('p', 'u', 'f', 'c', 'x') AND c.conparentid = 0)sql";

ConstraintDefinition read_constraint(const pg::Result& rows, int row)
{
    ConstraintDefinition constraint;
    constraint.name = rows.text(row, 0);
    constraint.kind = letter(rows.text(row, 1));
    constraint.definition = rows.text(row, 2);
    constraint.columns = read_array(rows.text(row, 3));
    if (constraint.kind == 'f') {
        constraint.referenced = {std::string(rows.text(row, 4)), std::string(rows.text(row, 5))};
        constraint.referenced_columns = read_array(rows.text(row, 6));
    }
    constraint.inheritable = rows.boolean(row, 7);
    return constraint;
}

void read_constraints(pg::Connection& connection, const std::string& oid, TableDefinition& table)
{
    // Keys first: a foreign key may point at the table's own.
    const pg::Result rows = connection.query(
        fmt::format(
            "{} AND c.conrelid = $1::oid ORDER BY pg_catalog.array_position(ARRAY['p','u','x','c','f'], c.contype::text), c.conname",
            kConstraints),
        {oid});
    for (int row = 0; row < rows.rows(); ++row) {
        table.constraints.push_back(read_constraint(rows, row));
    }
}

void read_indexes(pg::Connection& connection, const std::string& oid, TableDefinition& table)
{
    const pg::Result rows = connection.query(
        "SELECT c.relname, pg_catalog.regexp_replace(pg_catalog.pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON '), i.indisunique, "
        "  (SELECT pg_catalog.array_agg(coalesce(a.attname, '') ORDER BY k.position) FROM pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY k(number, position) "
        "   LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number AND k.number > 0 WHERE k.position <= i.indnkeyatts) "
        "FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid "
        "WHERE i.indrelid = $1::oid AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')) "
        "ORDER BY c.relname",
        {oid});
    for (int row = 0; row < rows.rows(); ++row) {
        table.indexes.push_back({std::string(rows.text(row, 0)), std::string(rows.text(row, 1)), rows.boolean(row, 2),
                                 read_array(rows.text(row, 3))});
    }
}

std::vector<std::string> statements(pg::Connection& connection, const char* sql, const std::string& oid)
{
    const pg::Result rows = connection.query(sql, {oid});
    std::vector<std::string> all;
    for (int row = 0; row < rows.rows(); ++row) {
        all.emplace_back(rows.text(row, 0));
    }
    return all;
}

constexpr const char* kTriggers =
    "SELECT pg_catalog.pg_get_triggerdef(oid) FROM pg_catalog.pg_trigger WHERE tgrelid = $1::oid AND NOT tgisinternal "
    "AND tgparentid = 0 AND tgname NOT LIKE 'keyshift\\_%' ORDER BY tgname";

constexpr const char* kComments = R"sql(
WITH t AS (SELECT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname) AS name, n.nspname
           FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1::oid)
SELECT pg_catalog.format('COMMENT ON TABLE %s IS %L', t.name, d.description) FROM t
    JOIN pg_catalog.pg_description d ON d.objoid = t.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0
UNION ALL SELECT pg_catalog.format('COMMENT ON COLUMN %s.%I IS %L', t.name, a.attname, d.description) FROM t
    JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid
    JOIN pg_catalog.pg_description d ON d.objoid = t.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = a.attnum WHERE a.attnum > 0
UNION ALL SELECT pg_catalog.format('COMMENT ON CONSTRAINT %I ON %s IS %L', c.conname, t.name, d.description) FROM t
    JOIN pg_catalog.pg_constraint c ON c.conrelid = t.oid
    JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.classoid = 'pg_constraint'::regclass
UNION ALL SELECT pg_catalog.format('COMMENT ON INDEX %I.%I IS %L', t.nspname, c.relname, d.description) FROM t
    JOIN pg_catalog.pg_index i ON i.indrelid = t.oid JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
    JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.classoid = 'pg_class'::regclass
UNION ALL SELECT pg_catalog.format('COMMENT ON TRIGGER %I ON %s IS %L', g.tgname, t.name, d.description) FROM t
    JOIN pg_catalog.pg_trigger g ON g.tgrelid = t.oid AND NOT g.tgisinternal
    JOIN pg_catalog.pg_description d ON d.objoid = g.oid AND d.classoid = 'pg_trigger'::regclass)sql";

constexpr const char* kGrants = R"sql(
SELECT pg_catalog.format('GRANT %s%s ON %I.%I TO %s%s', g.privilege_type, g.columns, n.nspname, c.relname,
           CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) END,
           CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace,
LATERAL (SELECT x.grantee, x.privilege_type, x.is_grantable, '' AS columns FROM pg_catalog.aclexplode(c.relacl) x
         UNION ALL SELECT x.grantee, x.privilege_type, x.is_grantable, pg_catalog.format(' (%I)', a.attname)
         FROM pg_catalog.pg_attribute a, LATERAL pg_catalog.aclexplode(a.attacl) x WHERE a.attrelid = c.oid AND NOT a.attisdropped) g
WHERE c.oid = $1::oid AND g.grantee <> c.relowner ORDER BY 1)sql";

constexpr const char* kAlterations = R"sql(
WITH t AS (SELECT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname) AS name, c.relrowsecurity, c.relforcerowsecurity,
               -- What row security it has of its own, where it is strict.
               (SELECT pg_catalog.obj_description(p.oid, 'pg_policy') FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'keyshift_strict') AS own
           FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1::oid)
SELECT pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I SET STORAGE %s', t.name, a.attname,
           CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END)
    FROM t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid JOIN pg_catalog.pg_type y ON y.oid = a.atttypid
    WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attstorage <> y.typstorage
UNION ALL SELECT pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I SET COMPRESSION %s', t.name, a.attname, CASE a.attcompression WHEN 'l' THEN 'lz4' ELSE 'pglz' END)
    FROM t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attcompression <> ''
UNION ALL SELECT pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS %s', t.name, a.attname, a.attstattarget)
    FROM t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attstattarget >= 0
UNION ALL SELECT pg_catalog.pg_get_statisticsobjdef(s.oid) FROM t JOIN pg_catalog.pg_statistic_ext s ON s.stxrelid = t.oid
UNION ALL SELECT pg_catalog.format('ALTER TABLE %s %s TRIGGER %I', t.name,
           CASE g.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, g.tgname)
    FROM t JOIN pg_catalog.pg_trigger g ON g.tgrelid = t.oid WHERE NOT g.tgisinternal AND g.tgenabled <> 'O' AND g.tgname NOT LIKE 'keyshift\_%'
UNION ALL SELECT pg_catalog.format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', p.polname, t.name,
           CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
           CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
           (SELECT pg_catalog.string_agg(CASE WHEN r = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(r)) END, ', ')
            FROM pg_catalog.unnest(p.polroles) r),
           coalesce(' USING (' || pg_catalog.pg_get_expr(p.polqual, p.polrelid) || ')', ''),
           coalesce(' WITH CHECK (' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) || ')', ''))
    FROM t JOIN pg_catalog.pg_policy p ON p.polrelid = t.oid WHERE p.polname NOT LIKE 'keyshift\_%'
UNION ALL SELECT pg_catalog.format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', t.name) FROM t WHERE t.relrowsecurity AND t.own IS DISTINCT FROM 'none'
UNION ALL SELECT pg_catalog.format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', t.name) FROM t WHERE t.relforcerowsecurity AND coalesce(t.own, 'forced') = 'forced')sql";

} // namespace

const ConstraintDefinition* TableDefinition::primary_key() const
{
    const auto found =
        std::find_if(constraints.begin(), constraints.end(), [](const auto& c) { return c.kind == 'p'; });
    return found == constraints.end() ? nullptr : &*found;
}

const ColumnDefinition* TableDefinition::column(std::string_view column_name) const
{
    const auto found =
        std::find_if(columns.begin(), columns.end(), [&](const auto& c) { return c.name == column_name; });
    return found == columns.end() ? nullptr : &*found;
}

std::vector<std::string> TableDefinition::writable_columns() const
{
    std::vector<std::string> names;
    for (const ColumnDefinition& one : columns) {
        if (one.generated == '\0') {
            names.push_back(one.name);
        }
    }
    return names;
}

std::string TableDefinition::generated_identity() const
{
    const std::vector<std::string>* identity = nullptr; // of replica identity FULL: every column
    if (replica_identity == 'n' || (replica_identity == 'd' && primary_key() == nullptr)) {
        return "";
    }
    if (replica_identity == 'd') {
        identity = &primary_key()->columns;
    }
    const auto take_index = [&](const auto& one) {
        if (replica_identity == 'i' && one.name == replica_identity_index) {
            identity = &one.columns;
        }
    };
    std::for_each(indexes.begin(), indexes.end(), take_index);
    std::for_each(constraints.begin(), constraints.end(), take_index);
    const auto found = std::find_if(columns.begin(), columns.end(), [&](const ColumnDefinition& one) {
        return one.generated != '\0' &&
               (identity == nullptr || std::find(identity->begin(), identity->end(), one.name) != identity->end());
    });
    return found == columns.end() ? "" : found->name;
}

TableDefinition read_table(pg::Connection& connection, const QualifiedName& name)
{
    const pg::Result rows = connection.query(
        "SELECT c.oid, r.rolname, c.relkind, c.relpersistence = 'u', c.relreplident, "
        "  (SELECT k.relname FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class k ON k.oid = i.indexrelid WHERE i.indrelid = c.oid AND i.indisreplident) "
        "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_roles r ON r.oid = c.relowner "
        "WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')",
        {name.schema, name.name});
    if (rows.rows() == 0) {
        throw RefusedError({fmt::format("table {} on {}", name.to_string(), connection.name()),
                            "there is no such table",
                            "Check the name; a table outside schema public is written schema.table."});
    }
    const std::string oid(rows.text(0, 0));
    TableDefinition table;
    table.name = name;
    table.owner = rows.text(0, 1);
    table.partitioned = rows.text(0, 2) == "p";
    table.unlogged = rows.boolean(0, 3);
    table.replica_identity = letter(rows.text(0, 4));
    table.replica_identity_index = rows.text(0, 5);
    read_columns(connection, oid, table);
    read_constraints(connection, oid, table);
    read_indexes(connection, oid, table);
    table.triggers = statements(connection, kTriggers, oid);
    table.comments = statements(connection, kComments, oid);
    table.grants = statements(connection, kGrants, oid);
    table.alterations = statements(connection, kAlterations, oid);
    return table;
}

std::vector<std::string> read_grants(pg::Connection& connection, const QualifiedName& relation)
{
    return statements(connection, kGrants,
                      std::string(connection.query("SELECT $1::regclass::oid", {relation.quoted()}).text(0, 0)));
}

std::vector<IncomingForeignKey> read_incoming_foreign_keys(pg::Connection& connection, const QualifiedName& table)
{
    const pg::Result rows = connection.query(
        fmt::format(
            "{} AND c.contype = 'f' AND c.confrelid = $1::regclass AND c.conrelid <> c.confrelid ORDER BY 9, 10, 1",
            kConstraints),
        {table.quoted()});
    std::vector<IncomingForeignKey> keys;
    for (int row = 0; row < rows.rows(); ++row) {
        keys.push_back({{std::string(rows.text(row, 8)), std::string(rows.text(row, 9))}, read_constraint(rows, row)});
    }
    return keys;
}

} // namespace keyshift::catalog
