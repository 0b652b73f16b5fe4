#include "catalog/split/leaf_twins.hpp"

#include "catalog/online/fill.hpp"
#include "catalog/online/follow_trigger.hpp"
#include "catalog/rows.hpp"
#include "core/failpoint.hpp"
#include "core/pg/blockers.hpp"
#include "core/pg/short_lock.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keyshift::catalog {

namespace {

std::string who_holds(pg::Connection& node, const QualifiedName& table)
{
    const std::vector<pg::Blocker> holders = pg::blockers(node, {table}, false, std::chrono::milliseconds(0));
    return holders.empty() ? "a lock on " + table.to_string() : holders.front().sentence(node.name());
}

void with_locks(pg::Connection& node, const QualifiedName& table, const std::string& sql, const OnlineWork& work)
{
    pg::with_short_locks(
        node, [&] { node.script(sql); }, [&] { work.show(0, "waits: " + who_holds(node, table)); }, work.stop);
}

std::string oid_of(pg::Connection& node, const QualifiedName& table)
{
    return std::string(node.query("SELECT $1::regclass::oid", {table.quoted()}).text(0, 0));
}

std::vector<std::string> quoted_all(const std::vector<std::string>& names)
{
    std::vector<std::string> quoted;
    for (const std::string& name : names) {
        quoted.push_back(quote_identifier(name));
    }
    return quoted;
}

/// Storage, defaults, checks and keys as the root has them; the bucket's own condition, so that ATTACH reads no row.
void make_tables(pg::Connection& node, const LeafTwin& made, const BucketLayout& after,
                 const std::vector<BucketId>& buckets)
{
    const QualifiedName& twin = made.twin.name;
    const std::string oid = oid_of(node, made.root);
    std::string script = fmt::format(
        "CREATE SCHEMA {}; CREATE TABLE {} (LIKE {} INCLUDING ALL EXCLUDING IDENTITY EXCLUDING STATISTICS EXCLUDING "
        "COMMENTS) PARTITION BY HASH ({}); ALTER TABLE {} OWNER TO {};",
        quote_identifier(twin.schema), twin.quoted(), made.root.quoted(), quoted_list(made.key), twin.quoted(),
        quote_identifier(made.definition.owner));
    for (std::size_t i = 0; i < buckets.size(); ++i) {
        const std::uint32_t modulus = after.modulus(buckets[i]);
        script += fmt::format("CREATE TABLE {0} PARTITION OF {1} FOR VALUES WITH (MODULUS {2}, REMAINDER {3});"
                              "ALTER TABLE {0} OWNER TO {4};"
                              "ALTER TABLE {0} ADD CONSTRAINT keyshift_bucket CHECK ({5});",
                              made.leaves[i].quoted(), twin.quoted(), modulus, number(buckets[i]),
                              quote_identifier(made.definition.owner),
                              partition_condition(oid, modulus, buckets[i], quoted_all(made.key)));
    }
    node.script(script);
}

/// Now true. The swap makes it say that no row is in the leaf: swap_leaf_twins().
void mark_leaf(pg::Connection& node, const LeafTwin& made, const OnlineWork& work)
{
    std::vector<std::string> types;
    for (const std::string& column : made.key) {
        types.push_back(made.definition.column(column)->type);
    }
    const std::string function = QualifiedName{made.twin.name.schema, "holds"}.quoted();
    node.script(fmt::format("CREATE FUNCTION {0}({1}) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'; "
                            "GRANT EXECUTE ON FUNCTION {0}({1}) TO PUBLIC",
                            function, join(types)));
    with_locks(node, made.leaf,
               fmt::format("ALTER TABLE {} ADD CONSTRAINT keyshift_holds CHECK ({}({})) NOT VALID", made.leaf.quoted(),
                           function, quoted_list(made.key)),
               work);
    node.script(fmt::format("ALTER TABLE {} VALIDATE CONSTRAINT keyshift_holds", made.leaf.quoted()));
}

LeafTwin make(pg::Connection& node, const Split& split, const BucketLayout& after, const CapturedTable& table,
              const OnlineWork& work)
{
    LeafTwin made;
    made.root = table.name;
    made.leaf = leaf_name(table.name, split.bucket);
    made.key = table.key_columns;
    made.definition = read_table(node, table.name);
    made.twin.name = {"keyshift_copy_" + oid_of(node, made.leaf), table.name.name};
    made.twin.root.definition = made.definition;
    made.twin.root.definition.name = made.leaf;
    for (const BucketId bucket : split.all()) {
        made.leaves.push_back(leaf_name(made.twin.name, bucket));
    }
    pg::Transaction transaction(node);
    make_tables(node, made, after, split.all());
    transaction.commit();
    failpoint("split.twin.made");
    mark_leaf(node, made, work);
    const FollowTrigger trigger = follow_trigger(node, made.twin.root.definition, made.twin.name);
    with_locks(node, made.leaf, trigger.function + trigger.attach, work);
    return made;
}

/// As the present leaf has them from its root. NOT VALID first: the check blocks no writer.
void add_foreign_keys(pg::Connection& node, const LeafTwin& made, const OnlineWork& work)
{
    const pg::Result keys = node.query(
        "SELECT k.conname, pg_get_constraintdef(k.oid), k.confrelid::regclass::text FROM pg_constraint k JOIN pg_constraint up ON up.oid = k.conparentid "
        "WHERE k.conrelid = $1::regclass AND k.contype = 'f' AND up.conrelid <> k.conrelid AND up.confrelid = k.confrelid ORDER BY 1",
        {made.leaf.quoted()});
    for (int row = 0; row < keys.rows(); ++row) {
        const std::string definition(keys.text(row, 1));
        const bool valid = definition.find(" NOT VALID") == std::string::npos;
        for (const QualifiedName& leaf : made.leaves) {
            const std::string constraint = quote_identifier(keys.text(row, 0));
            with_locks(node, made.leaf,
                       fmt::format("ALTER TABLE {} ADD CONSTRAINT {} {}{}", leaf.quoted(), constraint, definition,
                                   valid ? " NOT VALID" : ""),
                       work);
            node.script(fmt::format("ALTER TABLE {} VALIDATE CONSTRAINT {}", leaf.quoted(), constraint));
        }
    }
}

} // namespace

std::string partition_condition(const std::string& root_oid, std::uint32_t modulus, BucketId bucket,
                                const std::vector<std::string>& arguments)
{
    return fmt::format("satisfies_hash_partition('{}'::oid, {}, {}, {})", root_oid, modulus, number(bucket),
                       join(arguments));
}

void check_splittable(pg::Connection& node, const Split& split, const std::vector<CapturedTable>& tables)
{
    for (const CapturedTable& table : tables) {
        TableDefinition definition = read_table(node, table.name);
        const auto obstacle =
            std::find_if(definition.constraints.begin(), definition.constraints.end(), [](const auto& one) {
                return one.kind == 'x' || (one.kind != 'f' && one.definition.find(" DEFERRABLE") != std::string::npos);
            });
        if (obstacle != definition.constraints.end()) {
            throw RefusedError({split.subject(),
                                fmt::format("{} has {} constraint {}, which a copy that is kept row by row could break",
                                            table.name.to_string(), obstacle->kind == 'x' ? "exclusion" : "deferrable",
                                            obstacle->name),
                                fmt::format("keyshift ddl 'ALTER TABLE {} DROP CONSTRAINT {}', and add it again "
                                            "after the split.",
                                            table.name.to_string(), quote_identifier(obstacle->name))});
        }
        const bool has_key = std::any_of(definition.constraints.begin(), definition.constraints.end(),
                                         [](const auto& one) { return one.kind == 'p'; });
        if (!has_key) {
            throw RefusedError({split.subject(), table.name.to_string() + " has no primary key to find its rows by",
                                "Give it one with `keyshift ddl`."});
        }
        definition.name = leaf_name(table.name, split.bucket);
        check_replaceable(node, definition);
    }
}

std::vector<LeafTwin> make_leaf_twins(pg::Connection& node, const Split& split, const BucketLayout& before,
                                      const std::vector<CapturedTable>& tables, const OnlineWork& work)
{
    const BucketLayout after = before.with(split.made);
    std::vector<LeafTwin> twins;
    for (const CapturedTable& table : tables) {
        twins.push_back(make(node, split, after, table, work));
    }
    failpoint("split.twins.followed");
    return twins;
}

void complete_leaf_twins(pg::Connection& node, const std::vector<LeafTwin>& twins, const OnlineWork& work)
{
    for (const LeafTwin& made : twins) {
        fill_twin(node, made.twin, work);
        compare_twin(node, made.twin, work);
        add_foreign_keys(node, made, work);
    }
    failpoint("split.twins.complete");
    wait_for_snapshots(node, twins.back().twin, work);
}

void drop_leaf_twins(pg::Connection& node, const Split& split, const std::vector<CapturedTable>& tables)
{
    for (const CapturedTable& table : tables) {
        drop_twin(node, leaf_name(table.name, split.bucket));
    }
}

} // namespace keyshift::catalog
