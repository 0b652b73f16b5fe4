#include "catalog/split/leaf_swap.hpp"

#include "catalog/node_sql.hpp"
#include "catalog/online/swap.hpp"
#include "catalog/rows.hpp"
#include "core/failpoint.hpp"
#include "core/pg/blockers.hpp"
#include "core/pg/short_lock.hpp"

#include <fmt/format.h>

#include <chrono>

namespace keyshift::catalog {

namespace {

using Clock = std::chrono::steady_clock;

class LeafSwap {
public:
    LeafSwap(pg::Connection& node, const Split& split, const BucketLayout& before, const std::vector<LeafTwin>& twins)
        : node_(node), split_(split), before_(before), after_(before.with(split.made)), twins_(twins)
    {
    }

    /// No definition changes from here on; writers go on.
    void check_unchanged()
    {
        std::vector<std::string> roots;
        for (const LeafTwin& twin : twins_) {
            roots.push_back("ONLY " + twin.root.quoted());
        }
        node_.script("LOCK TABLE " + join(roots) + " IN SHARE UPDATE EXCLUSIVE MODE");
        for (const LeafTwin& twin : twins_) {
            if (shape_of(read_table(node_, twin.root), {}) != shape_of(twin.definition, {})) {
                throw changed_meanwhile(node_, twin.root);
            }
        }
    }

    /// Everything at once, so that a lock that is not got costs nothing but a wait.
    void lock()
    {
        std::vector<std::string> tables;
        for (const LeafTwin& twin : twins_) {
            tables.push_back("ONLY " + twin.root.quoted());
            tables.push_back(twin.leaf.quoted());
        }
        node_.script("LOCK TABLE " + join(tables) + " IN ACCESS EXCLUSIVE MODE");
    }

    /// DETACH joins the leaf with all that refers to the table, to be sure that nothing needs its rows. What refers to them
    /// refers to their equals in the twins, which come in this same transaction: the check is told that the leaf is empty.
    void take_out()
    {
        node_.script("SET LOCAL constraint_exclusion = on");
        std::string gone;
        for (const LeafTwin& twin : twins_) {
            node_.script(nothing_held(twin));
            gone += (gone.empty() ? "" : ", ") + twin.leaf.quoted();
        }
        for (const LeafTwin& twin : twins_) {
            // Where nothing refers to it DROP alone does: DETACH would first make its own foreign keys complete.
            if (is_referred_to(twin.leaf)) {
                node_.script(fmt::format("ALTER TABLE {} DETACH PARTITION {}", twin.root.quoted(), twin.leaf.quoted()));
            }
        }
        node_.script("DROP TABLE " + gone);
    }

    void put_in()
    {
        for (const LeafTwin& twin : twins_) {
            const std::vector<BucketId> buckets = split_.all();
            for (std::size_t i = 0; i < buckets.size(); ++i) {
                put_in(twin, twin.leaves[i], buckets[i]);
            }
            node_.script(fmt::format("DROP SCHEMA {} CASCADE", quote_identifier(twin.twin.name.schema)));
        }
    }

private:
    bool is_referred_to(const QualifiedName& leaf)
    {
        return node_
            .query("SELECT EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND confrelid = $1::regclass)",
                   {leaf.quoted()})
            .boolean(0, 0);
    }

    std::string nothing_held(const LeafTwin& twin)
    {
        const std::string oid(node_.query("SELECT $1::regclass::oid", {twin.root.quoted()}).text(0, 0));
        std::vector<std::string> types;
        std::vector<std::string> arguments;
        for (const std::string& column : twin.key) {
            types.push_back(twin.definition.column(column)->type);
            arguments.push_back("$" + std::to_string(types.size()));
        }
        return fmt::format(
            "CREATE OR REPLACE FUNCTION {}({}) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$SELECT NOT {}$$",
            QualifiedName{twin.twin.name.schema, "holds"}.quoted(), join(types),
            partition_condition(oid, before_.modulus(split_.bucket), split_.bucket, arguments));
    }

    void put_in(const LeafTwin& twin, const QualifiedName& from, BucketId bucket)
    {
        const QualifiedName leaf = leaf_name(twin.root, bucket);
        node_.script(fmt::format("ALTER TABLE {0} DETACH PARTITION {1}; ALTER TABLE {1} SET SCHEMA {2};"
                                 "ALTER TABLE {3} ATTACH PARTITION {4} FOR VALUES WITH (MODULUS {5}, REMAINDER {6});"
                                 "ALTER TABLE {4} DROP CONSTRAINT keyshift_bucket",
                                 twin.twin.name.quoted(), from.quoted(), quote_identifier(twin.root.schema),
                                 twin.root.quoted(), leaf.quoted(), after_.modulus(bucket), number(bucket)));
        set_replica_identity_of_leaf(node_, twin.root, leaf);
    }

    pg::Connection& node_;
    const Split& split_;
    const BucketLayout& before_;
    const BucketLayout after_;
    const std::vector<LeafTwin>& twins_;
};

} // namespace

double swap_leaf_twins(pg::Connection& node, const Split& split, const BucketLayout& before,
                       const std::vector<LeafTwin>& twins, const std::function<void()>& after, const OnlineWork& work)
{
    Clock::time_point begun;
    pg::with_short_locks(
        node,
        [&] {
            LeafSwap swap(node, split, before, twins);
            swap.check_unchanged();
            begun = Clock::now();
            swap.lock();
            swap.take_out();
            swap.put_in();
            after();
            failpoint("split.swap.before_commit");
        },
        [&] {
            std::vector<QualifiedName> tables;
            for (const LeafTwin& twin : twins) {
                check_columns(node, twin.twin);
                tables.push_back(twin.root);
                tables.push_back(twin.leaf);
            }
            const std::vector<pg::Blocker> holders = pg::blockers(node, tables, false, std::chrono::milliseconds(0));
            work.show(1, "waits: " + (holders.empty() ? "a lock on " + twins.front().root.to_string()
                                                      : holders.front().sentence(node.name())));
        },
        work.stop);
    return std::chrono::duration<double, std::milli>(Clock::now() - begun).count();
}

} // namespace keyshift::catalog
