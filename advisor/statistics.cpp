#include "advisor/statistics.hpp"

#include "catalog/rows.hpp"

#include <algorithm>

namespace keyshift::advisor {

namespace {

/// Ordinary and partitioned tables of users; a partition counts for the table it belongs to.
constexpr const char* kTables = R"(
WITH root AS (
    SELECT c.oid, n.nspname, c.relname, c.relkind,
           c.relkind <> 'r' OR EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid OR i.inhparent = c.oid) AS family
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
      AND n.nspname <> 'information_schema' AND n.nspname !~ '^(pg_|keyshift)'
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
), part AS (
    SELECT r.oid AS root, c.oid, c.relkind, c.reltuples
    FROM root r, LATERAL (SELECT r.oid AS relid WHERE r.relkind = 'r'
                          UNION ALL SELECT t.relid FROM pg_partition_tree(r.oid) t WHERE r.relkind = 'p') t
    JOIN pg_class c ON c.oid = t.relid WHERE c.relkind = 'r'
)
SELECT r.nspname, r.relname, NOT r.family,
       coalesce(sum(CASE WHEN p.reltuples < 0 OR p.reltuples = 0 AND s.n_live_tup > 0 THEN s.n_live_tup ELSE p.reltuples END), 0)::bigint,
       coalesce(sum(pg_total_relation_size(p.oid)), 0)::bigint,
       coalesce(sum(s.n_tup_ins), 0)::bigint, coalesce(sum(s.n_tup_upd), 0)::bigint, coalesce(sum(s.n_tup_del), 0)::bigint,
       coalesce(sum(s.seq_scan + coalesce(s.idx_scan, 0)), 0)::bigint,
       coalesce((SELECT array_agg(a.attname ORDER BY k.place) FROM pg_index x, unnest(x.indkey) WITH ORDINALITY k(number, place)
                 JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = k.number
                 WHERE x.indrelid = r.oid AND x.indisprimary AND k.place <= x.indnkeyatts), '{}')
FROM root r LEFT JOIN part p ON p.root = r.oid LEFT JOIN pg_stat_all_tables s ON s.relid = p.oid
GROUP BY r.oid, r.nspname, r.relname, r.family)";

/// float hashes to the same bucket as well, but equality of floats is no way to find a row.
constexpr const char* kColumns = R"(
SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, NULL), a.attnotnull,
       t.typname IN ('int2', 'int4', 'int8', 'uuid', 'text', 'varchar', 'bpchar', 'numeric')
           AND t.typnamespace = 'pg_catalog'::regnamespace AND a.attgenerated = ''
           AND coalesce((SELECT o.collisdeterministic FROM pg_collation o WHERE o.oid = a.attcollation), true),
       s.n_distinct, s.null_frac, (s.most_common_freqs)[1]
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname
    AND s.inherited = (c.relkind = 'p')
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p') AND NOT c.relispartition
ORDER BY a.attrelid, a.attnum)";

constexpr const char* kForeignKeys = R"(
SELECT n.nspname, c.relname, pn.nspname, p.relname,
       (SELECT array_agg(a.attname ORDER BY k.place) FROM unnest(f.conkey) WITH ORDINALITY k(number, place)
        JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.number),
       (SELECT array_agg(a.attname ORDER BY k.place) FROM unnest(f.confkey) WITH ORDINALITY k(number, place)
        JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.number)
FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class p ON p.oid = f.confrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace
WHERE f.contype = 'f' AND f.conparentid = 0 ORDER BY f.conrelid, f.conname)";

/// Counters that were never reset are as old as the database, which only the file system tells, and only some roles may ask.
void read_age(pg::Connection& connection, DatabaseStatistics& statistics)
{
    const pg::Result reset = connection.query(
        "SELECT extract(epoch FROM now() - stats_reset)::float8, extract(epoch FROM now() - pg_postmaster_start_time())::float8, "
        "has_function_privilege('pg_stat_file(text, boolean)', 'EXECUTE') FROM pg_stat_database WHERE datname = current_database()");
    statistics.counted_longer = reset.is_null(0, 0);
    statistics.seconds = reset.is_null(0, 0) ? reset.real(0, 1) : reset.real(0, 0);
    if (reset.is_null(0, 0) && reset.boolean(0, 2)) {
        const pg::Result made = connection.query(
            "SELECT extract(epoch FROM now() - (pg_stat_file('base/' || oid || '/PG_VERSION', true)).modification)::float8 "
            "FROM pg_database WHERE datname = current_database()");
        statistics.seconds = made.is_null(0, 0) ? statistics.seconds : made.real(0, 0);
    }
    statistics.seconds = std::max(statistics.seconds, 1.0);
}

void read_tables(pg::Connection& connection, DatabaseStatistics& statistics)
{
    const pg::Result rows = connection.query(kTables);
    for (int row = 0; row < rows.rows(); ++row) {
        TableStatistics table;
        table.name = {std::string(rows.text(row, 0)), std::string(rows.text(row, 1))};
        table.plain = rows.boolean(row, 2);
        table.rows = rows.integer(row, 3);
        table.bytes = rows.integer(row, 4);
        table.inserted = rows.integer(row, 5);
        table.updated = rows.integer(row, 6);
        table.deleted = rows.integer(row, 7);
        table.scans = rows.integer(row, 8);
        table.primary_key = catalog::read_array(rows.text(row, 9));
        statistics.tables.emplace(table.name, table);
    }
}

void read_columns(pg::Connection& connection, DatabaseStatistics& statistics)
{
    const pg::Result rows = connection.query(kColumns);
    for (int row = 0; row < rows.rows(); ++row) {
        const auto table = statistics.tables.find({std::string(rows.text(row, 0)), std::string(rows.text(row, 1))});
        if (table == statistics.tables.end()) {
            continue;
        }
        ColumnStatistics column;
        column.name = rows.text(row, 2);
        column.type = rows.text(row, 3);
        column.not_null = rows.boolean(row, 4);
        column.hashable = rows.boolean(row, 5);
        if (!rows.is_null(row, 6)) {
            const double distinct = rows.real(row, 6);
            column.distinct = distinct < 0 ? -distinct * static_cast<double>(table->second.rows) : distinct;
            column.null_share = rows.real(row, 7);
            column.top_share = rows.is_null(row, 8) ? 0 : rows.real(row, 8);
        }
        table->second.columns.push_back(std::move(column));
    }
}

void read_foreign_keys(pg::Connection& connection, DatabaseStatistics& statistics)
{
    const pg::Result rows = connection.query(kForeignKeys);
    for (int row = 0; row < rows.rows(); ++row) {
        const auto table = statistics.tables.find({std::string(rows.text(row, 0)), std::string(rows.text(row, 1))});
        if (table != statistics.tables.end()) {
            table->second.foreign_keys.push_back({catalog::read_array(rows.text(row, 4)),
                                                  {std::string(rows.text(row, 2)), std::string(rows.text(row, 3))},
                                                  catalog::read_array(rows.text(row, 5))});
        }
    }
}

/// What Keyshift has made of the database already.
void read_catalog(pg::Connection& connection, DatabaseStatistics& statistics)
{
    const pg::Result tables =
        connection.query("SELECT schema_name, table_name, reference, CASE WHEN group_name IS NOT NULL AND "
                         "cardinality(key_columns) = 1 THEN key_columns[1] ELSE '' END FROM keyshift.captured_table");
    for (int row = 0; row < tables.rows(); ++row) {
        const auto table = statistics.tables.find({std::string(tables.text(row, 0)), std::string(tables.text(row, 1))});
        if (table != statistics.tables.end()) {
            table->second.reference = tables.boolean(row, 2);
            table->second.shard_key = tables.text(row, 3);
        }
    }
    // The tables of a joined one are projections of their own.
    const pg::Result names =
        connection.query("SELECT DISTINCT regexp_replace(name, '__m[0-9]+$', '') FROM keyshift.projection");
    for (int row = 0; row < names.rows(); ++row) {
        statistics.projections.insert(std::string(names.text(row, 0)));
    }
}

} // namespace

const ColumnStatistics* TableStatistics::column(std::string_view wanted) const
{
    const auto found = std::find_if(columns.begin(), columns.end(),
                                    [&](const ColumnStatistics& column) { return column.name == wanted; });
    return found == columns.end() ? nullptr : &*found;
}

DatabaseStatistics read_statistics(pg::Connection& connection)
{
    DatabaseStatistics statistics;
    const pg::Result row = connection.query(
        "SELECT pg_database_size(current_database()), "
        "greatest(pg_size_bytes(current_setting('effective_cache_size')), 4 * pg_size_bytes(current_setting('shared_buffers'))), "
        "to_regclass('keyshift.meta') IS NOT NULL");
    statistics.bytes = row.integer(0, 0);
    statistics.memory = row.integer(0, 1);
    statistics.has_catalog = row.boolean(0, 2);
    read_age(connection, statistics);
    read_tables(connection, statistics);
    read_columns(connection, statistics);
    read_foreign_keys(connection, statistics);
    if (statistics.has_catalog) {
        read_catalog(connection, statistics);
    }
    return statistics;
}

} // namespace keyshift::advisor
