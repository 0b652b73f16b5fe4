#include "catalog/online/follow_trigger.hpp"

#include "catalog/rows.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keyshift::catalog {

namespace {

struct KeyColumn {
    std::string name;
    std::string equals; ///< OPERATOR(schema.=) of the key's own index
};

std::vector<KeyColumn> key_columns(pg::Connection& node, const QualifiedName& table)
{
    const pg::Result rows = node.query(
        "SELECT a.attname, format('OPERATOR(%I.%s)', n.nspname, o.oprname) FROM pg_index i, "
        "LATERAL unnest(i.indkey::int2[], i.indclass::oid[]) WITH ORDINALITY k(number, opclass, position) "
        "JOIN pg_attribute a ON a.attrelid = $1::regclass AND a.attnum = k.number JOIN pg_opclass c ON c.oid = k.opclass "
        "JOIN pg_amop m ON m.amopfamily = c.opcfamily AND m.amopstrategy = 3 AND m.amoplefttype = c.opcintype AND m.amoprighttype = c.opcintype "
        "JOIN pg_operator o ON o.oid = m.amopopr JOIN pg_namespace n ON n.oid = o.oprnamespace "
        "WHERE i.indrelid = $1::regclass AND i.indisprimary AND k.position <= i.indnkeyatts ORDER BY k.position",
        {table.quoted()});
    std::vector<KeyColumn> key;
    for (int row = 0; row < rows.rows(); ++row) {
        key.push_back({std::string(rows.text(row, 0)), std::string(rows.text(row, 1))});
    }
    return key;
}

/// "t."a" OPERATOR(pg_catalog.=) OLD."a" AND ..."
std::string same_key(const std::vector<KeyColumn>& key, const std::string& left, const std::string& right)
{
    std::vector<std::string> parts;
    for (const KeyColumn& column : key) {
        const std::string name = quote_identifier(column.name);
        parts.push_back(fmt::format("{}.{} {} {}.{}", left, name, column.equals, right, name));
    }
    return join(parts, " AND ");
}

std::string of_row(const std::string& row, const std::vector<std::string>& columns)
{
    std::vector<std::string> parts;
    for (const std::string& column : columns) {
        parts.push_back(row + "." + quote_identifier(column));
    }
    return join(parts);
}

// By state, not by event: a user's own trigger may have changed the row again before this one is called, and then the
// events come in another order than the changes. A writer of a stricter isolation may not see a row that was copied after
// its snapshot: inserting over such a row raises 40001 there, where DELETE would pass it by in silence.
constexpr const char* kFunctions = R"sql(
CREATE FUNCTION {schema}.follow() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND NOT ({keys_agree})) THEN
        PERFORM FROM {table} AS f WHERE {old_in_table};
        IF NOT FOUND THEN
            DELETE FROM {twin} AS t WHERE {old_in_twin};
            IF NOT FOUND AND pg_catalog.current_setting('transaction_isolation') <> 'read committed' THEN
                BEGIN
                    INSERT INTO {twin} ({columns}) OVERRIDING SYSTEM VALUE VALUES ({old}) ON CONFLICT ({key}) DO NOTHING;
                EXCEPTION WHEN foreign_key_violation THEN
                    NULL; -- no row was hidden; what it refers to is gone already
                END;
                DELETE FROM {twin} AS t WHERE {old_in_twin};
            END IF;
        END IF;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO {twin} AS t ({columns}) OVERRIDING SYSTEM VALUE SELECT {of_table} FROM {table} AS f WHERE {new_in_table}
            ON CONFLICT ({key}) DO UPDATE SET ({others}) = ROW({excluded});
    END IF;
    RETURN NULL;
END $body$;
CREATE FUNCTION {schema}.follow_truncate() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    DELETE FROM {twin} AS t WHERE NOT EXISTS (SELECT FROM {table} AS f WHERE {both_keys});
    RETURN NULL;
END $body$;)sql";

constexpr const char* kAttach = R"sql(
CREATE TRIGGER keyshift_z_follow AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {schema}.follow();
CREATE TRIGGER keyshift_z_follow_truncate AFTER TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {schema}.follow_truncate();
ALTER TABLE {table} ENABLE ALWAYS TRIGGER keyshift_z_follow, ENABLE ALWAYS TRIGGER keyshift_z_follow_truncate;)sql";

// A leaf may be truncated by itself, and has its row triggers from the root.
constexpr const char* kAttachToLeaf = R"sql(
CREATE TRIGGER keyshift_z_follow_truncate AFTER TRUNCATE ON {leaf} FOR EACH STATEMENT EXECUTE FUNCTION {schema}.follow_truncate();
ALTER TABLE {leaf} ENABLE ALWAYS TRIGGER keyshift_z_follow, ENABLE ALWAYS TRIGGER keyshift_z_follow_truncate;)sql";

std::string attach_to_leaves(pg::Connection& node, const QualifiedName& table, const std::string& schema)
{
    const pg::Result leaves = node.query(
        "SELECT n.nspname, c.relname FROM pg_partition_tree($1::regclass) p JOIN pg_class c ON c.oid = p.relid "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE p.isleaf AND p.relid <> $1::regclass",
        {table.quoted()});
    std::string script;
    for (int row = 0; row < leaves.rows(); ++row) {
        const QualifiedName leaf{std::string(leaves.text(row, 0)), std::string(leaves.text(row, 1))};
        script += fmt::format(fmt::runtime(kAttachToLeaf), fmt::arg("leaf", leaf.quoted()), fmt::arg("schema", schema));
    }
    return script;
}

} // namespace

FollowTrigger follow_trigger(pg::Connection& node, const TableDefinition& table, const QualifiedName& twin)
{
    const std::vector<std::string> columns = table.writable_columns();
    const std::vector<KeyColumn> key = key_columns(node, table.name);
    std::vector<std::string> key_names;
    for (const KeyColumn& column : key) {
        key_names.push_back(column.name);
    }
    std::vector<std::string> others; // a key that conflicts is equal already, and its bucket with it
    for (const std::string& column : columns) {
        if (std::find(key_names.begin(), key_names.end(), column) == key_names.end()) {
            others.push_back(column);
        }
    }
    if (others.empty()) {
        others = key_names;
    }
    const std::string schema = quote_identifier(twin.schema);
    FollowTrigger trigger;
    trigger.function = fmt::format(
        fmt::runtime(kFunctions), fmt::arg("schema", schema), fmt::arg("twin", twin.quoted()),
        fmt::arg("table", table.name.quoted()), fmt::arg("columns", quoted_list(columns)),
        fmt::arg("of_table", of_row("f", columns)), fmt::arg("old", of_row("OLD", columns)),
        fmt::arg("key", quoted_list(key_names)), fmt::arg("keys_agree", same_key(key, "NEW", "OLD")),
        fmt::arg("old_in_table", same_key(key, "f", "OLD")), fmt::arg("old_in_twin", same_key(key, "t", "OLD")),
        fmt::arg("new_in_table", same_key(key, "f", "NEW")), fmt::arg("both_keys", same_key(key, "t", "f")),
        fmt::arg("others", quoted_list(others)), fmt::arg("excluded", of_row("excluded", others)));
    trigger.attach =
        fmt::format(fmt::runtime(kAttach), fmt::arg("schema", schema), fmt::arg("table", table.name.quoted())) +
        attach_to_leaves(node, table.name, schema);
    return trigger;
}

} // namespace keyshift::catalog
