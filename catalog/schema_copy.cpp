#include "catalog/schema_copy.hpp"

#include "catalog/table_ddl.hpp"
#include "core/error.hpp"

#include <fmt/format.h>

#include <set>
#include <utility>

namespace keyshift::catalog {

namespace {

/// One row an object: its identity (to see whether it is there) and the statement that makes it.
using Objects = std::vector<std::pair<std::string, std::string>>;

constexpr const char* kExtensions = R"sql(
SELECT e.extname, pg_catalog.format('CREATE EXTENSION IF NOT EXISTS %I SCHEMA %I', e.extname, n.nspname)
FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname <> 'plpgsql' ORDER BY e.oid)sql";

constexpr const char* kSchemas = R"sql(
SELECT n.nspname, pg_catalog.format('CREATE SCHEMA IF NOT EXISTS %I', n.nspname) FROM pg_catalog.pg_namespace n
WHERE n.nspname !~ '^(pg_|keyshift_copy_)' AND n.nspname NOT IN ('information_schema', 'keyshift', 'public')
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e')
ORDER BY n.oid)sql";

constexpr const char* kTypes = R"sql(
SELECT pg_catalog.format('%I.%I', n.nspname, t.typname), CASE t.typtype
    WHEN 'e' THEN pg_catalog.format('CREATE TYPE %I.%I AS ENUM (%s)', n.nspname, t.typname,
        (SELECT pg_catalog.string_agg(pg_catalog.quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid))
    WHEN 'd' THEN pg_catalog.format('CREATE DOMAIN %I.%I AS %s%s%s%s%s', n.nspname, t.typname, pg_catalog.format_type(t.typbasetype, t.typtypmod),
        (SELECT pg_catalog.format(' COLLATE %I.%I', cn.nspname, c.collname) FROM pg_catalog.pg_collation c JOIN pg_catalog.pg_namespace cn ON cn.oid = c.collnamespace
         JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype WHERE c.oid = t.typcollation AND t.typcollation <> b.typcollation),
        ' DEFAULT ' || t.typdefault, CASE WHEN t.typnotnull THEN ' NOT NULL' END,
        (SELECT pg_catalog.string_agg(pg_catalog.format(' CONSTRAINT %I %s', k.conname, pg_catalog.pg_get_constraintdef(k.oid)), '')
         FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'))
    ELSE pg_catalog.format('CREATE TYPE %I.%I AS (%s)', n.nspname, t.typname,
        (SELECT pg_catalog.string_agg(pg_catalog.format('%I %s', a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)
         FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)) END
FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
WHERE (t.typtype IN ('e', 'd') OR (t.typtype = 'c' AND EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c')))
  AND n.nspname !~ '^(pg_|keyshift_copy_)' AND n.nspname NOT IN ('information_schema', 'keyshift')
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
ORDER BY t.oid)sql";

constexpr const char* kFunctions = R"sql(
SELECT pg_catalog.format('%I.%I(%s)', n.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)), pg_catalog.pg_get_functiondef(p.oid)
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE p.prokind IN ('f', 'p') AND n.nspname !~ '^(pg_|keyshift_copy_)' AND n.nspname NOT IN ('information_schema', 'keyshift')
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
ORDER BY p.oid)sql";

// Not those behind identity columns: the table's own DDL makes them.
constexpr const char* kSequences = R"sql(
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname),
       pg_catalog.format('CREATE SEQUENCE %I.%I AS %s INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s %s', n.nspname, c.relname,
           pg_catalog.format_type(s.seqtypid, NULL), s.seqincrement, s.seqmin, s.seqmax, s.seqstart, s.seqcache, CASE WHEN s.seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END)
FROM pg_catalog.pg_sequence s JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname !~ '^(pg_|keyshift_copy_)' AND n.nspname <> 'keyshift'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('e', 'i'))
ORDER BY c.oid)sql";

Objects read(pg::Connection& connection, const char* sql)
{
    const pg::Result rows = connection.query(sql);
    Objects objects;
    for (int row = 0; row < rows.rows(); ++row) {
        objects.emplace_back(rows.text(row, 0), rows.text(row, 1));
    }
    return objects;
}

Objects missing(pg::Connection& from, pg::Connection& to, const char* sql)
{
    std::set<std::string> there;
    for (const auto& object : read(to, sql)) {
        there.insert(object.first);
    }
    Objects objects = read(from, sql);
    std::erase_if(objects, [&](const auto& object) { return there.contains(object.first); });
    return objects;
}

/// One try in a savepoint; the reason when it fails for want of something else, or because it is there under another guise.
std::string attempt(pg::Connection& to, const std::string& sql)
{
    to.script("SAVEPOINT keyshift_copy");
    try {
        to.script(sql);
    } catch (const pg::SqlError& error) {
        to.script("ROLLBACK TO SAVEPOINT keyshift_copy; RELEASE SAVEPOINT keyshift_copy");
        return error.parts().why;
    }
    to.script("RELEASE SAVEPOINT keyshift_copy");
    return {};
}

/// Objects may need each other in any order: whole passes until one brings nothing new.
std::vector<std::string> create_all(pg::Connection& to, Objects objects)
{
    while (!objects.empty()) {
        Objects left;
        std::vector<std::string> reasons;
        for (const auto& object : objects) {
            std::string reason = attempt(to, object.second);
            if (!reason.empty()) {
                reasons.push_back(fmt::format("{} was not made on {}: {}", object.first, to.name(), reason));
                left.push_back(object);
            }
        }
        if (left.size() == objects.size()) {
            return reasons;
        }
        objects = std::move(left);
    }
    return {};
}

} // namespace

std::vector<std::string> copy_prerequisites(pg::Connection& from, pg::Connection& to)
{
    for (const char* kind : {kSchemas, kExtensions}) {
        for (const auto& [name, sql] : missing(from, to, kind)) {
            const std::string reason = attempt(to, sql);
            if (!reason.empty()) {
                throw RefusedError({fmt::format("carrying {} to {}", name, to.name()), reason,
                                    fmt::format("Let an administrator run on {}: {};", to.name(), sql)});
            }
        }
    }
    to.script("SET LOCAL check_function_bodies = off");
    Objects objects = missing(from, to, kTypes);
    for (const char* kind : {kSequences, kFunctions}) {
        Objects more = missing(from, to, kind);
        objects.insert(objects.end(), more.begin(), more.end());
    }
    return create_all(to, std::move(objects));
}

} // namespace keyshift::catalog
