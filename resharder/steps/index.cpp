#include "core/failpoint.hpp"
#include "resharder/steps/steps.hpp"
#include "resharder/throttle.hpp"

#include <fmt/format.h>

namespace keyshift::resharder {

namespace {

/// An index of the placeholder and its counterpart on the staging table.
struct IndexTwin {
    std::string name;       ///< on the placeholder
    std::string constraint; ///< definition where a constraint is behind it
    std::string tail;       ///< "USING ..." of a plain index
    bool unique = false;
    bool identity = false; ///< replica identity
};

/// Unique among all moves; the order of indexes_of() makes it the same in every attempt.
std::string twin_name(const MoveTable& table, std::size_t place)
{
    return table.staging.name + "_i" + std::to_string(place);
}

std::vector<IndexTwin> indexes_of(pg::Connection& node, const QualifiedName& leaf)
{
    const auto rows = node.query(
        "SELECT c.relname, coalesce(pg_get_constraintdef(k.oid), ''), i.indisunique, i.indisreplident, "
        "substr(pg_get_indexdef(i.indexrelid), length(format('CREATE %sINDEX %I ON %I.%I ', "
        "CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, c.relname, n.nspname, t.relname)) + 1) "
        "FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid "
        "JOIN pg_namespace n ON n.oid = t.relnamespace "
        "LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x') "
        "WHERE i.indrelid = $1::regclass AND i.indisvalid ORDER BY NOT i.indisprimary, c.relname",
        {leaf.quoted()});
    std::vector<IndexTwin> indexes;
    for (int row = 0; row < rows.rows(); ++row) {
        IndexTwin index;
        index.name = rows.text(row, 0);
        index.constraint = rows.text(row, 1);
        index.unique = rows.boolean(row, 2);
        index.identity = rows.boolean(row, 3);
        index.tail = rows.text(row, 4);
        indexes.push_back(std::move(index));
    }
    return indexes;
}

void build(MoveContext& context, const MoveTable& table, const IndexTwin& index, const std::string& twin)
{
    if (table_exists(context.recipient, {table.staging.schema, twin})) {
        return;
    }
    failpoint("move.index.building");
    const std::string staging = table.staging.quoted();
    if (!index.constraint.empty()) {
        context.recipient.query("ALTER TABLE " + staging + " ADD CONSTRAINT " + quote_identifier(twin) + " " +
                                index.constraint);
    } else {
        context.recipient.query(fmt::format("CREATE {}INDEX {} ON {} {}", index.unique ? "UNIQUE " : "",
                                            quote_identifier(twin), staging, index.tail));
    }
}

void set_identity(MoveContext& context, const MoveTable& table, const std::string& identity_index)
{
    const auto rows =
        context.recipient.query("SELECT relreplident FROM pg_class WHERE oid = $1::regclass", {table.leaf.quoted()});
    const std::string_view identity = rows.text(0, 0);
    std::string clause = "DEFAULT";
    if (identity == "f") {
        clause = "FULL";
    } else if (identity == "n") {
        clause = "NOTHING";
    } else if (identity == "i" && !identity_index.empty()) {
        clause = "USING INDEX " + quote_identifier(identity_index);
    }
    context.recipient.query("ALTER TABLE " + table.staging.quoted() + " REPLICA IDENTITY " + clause);
}

/// What lets ATTACH skip its scan: the partition's own condition, with the recipient's root in it.
void add_bucket_check(MoveContext& context, const MoveTable& table)
{
    const std::string staging = table.staging.quoted();
    const std::string oid(context.recipient.query("SELECT $1::regclass::oid", {table.root.quoted()}).text(0, 0));
    std::string key;
    for (const std::string& column : table.key) {
        key += ", " + quote_identifier(column);
    }
    context.recipient.query("ALTER TABLE " + staging + " DROP CONSTRAINT IF EXISTS keyshift_bucket");
    context.recipient.query(fmt::format(
        "ALTER TABLE {} ADD CONSTRAINT keyshift_bucket CHECK (satisfies_hash_partition('{}'::oid, {}, {}{})) NOT VALID",
        staging, oid, context.group.buckets.modulus(context.move().bucket), number(context.move().bucket), key));
    context.recipient.query("ALTER TABLE " + staging + " VALIDATE CONSTRAINT keyshift_bucket");
}

} // namespace

std::vector<IndexName> index_names(pg::Connection& node, const MoveTable& table)
{
    std::vector<IndexName> names;
    for (const IndexTwin& index : indexes_of(node, table.leaf)) {
        names.push_back({twin_name(table, names.size()), index.name});
    }
    return names;
}

void build_indexes(MoveContext& context, std::stop_token stop)
{
    for (const MoveTable& table : context.tables) {
        std::string identity_index;
        std::size_t place = 0;
        for (const IndexTwin& index : indexes_of(context.recipient, table.leaf)) {
            if (stop.stop_requested()) {
                throw TransientError({"building indexes", "the daemon stops", "it goes on at the next start"});
            }
            wait_until_light(context, stop);
            const std::string twin = twin_name(table, place++);
            build(context, table, index, twin);
            identity_index = index.identity ? twin : identity_index;
        }
        set_identity(context, table, identity_index);
        add_bucket_check(context, table);
        context.recipient.query("ANALYZE " + table.staging.quoted());
    }
}

} // namespace keyshift::resharder
