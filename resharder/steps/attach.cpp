#include "catalog/node_sql.hpp"
#include "core/failpoint.hpp"
#include "core/log.hpp"
#include "core/pg/blockers.hpp"
#include "core/pg/short_lock.hpp"
#include "resharder/move_owner.hpp"
#include "resharder/steps/steps.hpp"

#include <fmt/format.h>

namespace keyshift::resharder {

namespace {

struct ForeignKey {
    std::string name;
    std::string definition;
};

/// Foreign keys that the placeholder has from its root.
std::vector<ForeignKey> foreign_keys_of(pg::Connection& node, const QualifiedName& leaf)
{
    const auto rows = node.query(
        "SELECT k.conname, pg_get_constraintdef(k.oid) FROM pg_constraint k JOIN pg_constraint up ON up.oid = k.conparentid "
        "WHERE k.conrelid = $1::regclass AND k.contype = 'f' AND up.conrelid <> k.conrelid AND up.confrelid = k.confrelid "
        "ORDER BY k.conname",
        {leaf.quoted()});
    std::vector<ForeignKey> keys;
    for (int row = 0; row < rows.rows(); ++row) {
        keys.push_back({std::string(rows.text(row, 0)), std::string(rows.text(row, 1))});
    }
    return keys;
}

bool has_constraint(pg::Connection& node, const QualifiedName& table, const std::string& constraint)
{
    return node
        .query("SELECT EXISTS (SELECT FROM pg_constraint WHERE conrelid = $1::regclass AND conname = $2)",
               {table.quoted(), constraint})
        .boolean(0, 0);
}

class Attacher {
public:
    Attacher(MoveContext& context, const std::function<void()>& between_tries, std::stop_token stop)
        : context_(context), between_tries_(between_tries), stop_(std::move(stop))
    {
    }

    void attach(const MoveTable& table)
    {
        add_foreign_keys(table);
        pg::with_short_locks(
            context_.recipient, [&] { swap(table); }, [&] { explain(table); }, stop_);
        failpoint("move.attach.swapped");
    }

private:
    /// NOT VALID first, so that the lock on the referenced table is short; the check itself blocks no writer.
    void add_foreign_keys(const MoveTable& table)
    {
        pg::Connection& node = context_.recipient;
        const std::string staging = table.staging.quoted();
        for (const ForeignKey& key : foreign_keys_of(node, table.leaf)) {
            const std::string constraint = quote_identifier(key.name);
            if (!has_constraint(node, table.staging, key.name)) {
                const bool valid = key.definition.find(" NOT VALID") == std::string::npos;
                const std::string add = fmt::format("ALTER TABLE {} ADD CONSTRAINT {} {}{}", staging, constraint,
                                                    key.definition, valid ? " NOT VALID" : "");
                pg::with_short_locks(
                    node, [&] { node.query(add); }, [&] { explain(table); }, stop_);
            }
            node.query("ALTER TABLE " + staging + " VALIDATE CONSTRAINT " + constraint);
        }
    }

    void swap(const MoveTable& table)
    {
        pg::Connection& node = context_.recipient;
        const BucketMove& move = context_.move();
        check_owner(node, move);
        if (!catalog::has_reject_trigger(node, table.staging)) {
            catalog::create_reject_trigger(node, table.staging, move.group, move.bucket, move.token);
        }
        const auto names = index_names(node, table);
        const auto owner =
            node.query("SELECT quote_ident(pg_get_userbyid(relowner)), pg_get_userbyid(relowner) = current_user "
                       "FROM pg_class WHERE oid = $1::regclass",
                       {table.leaf.quoted()});
        const std::string root = table.root.quoted();
        const std::string leaf = table.leaf.quoted();
        // Marks the swap for take_back(): from here the leaf is this move's.
        node.query("UPDATE keyshift.local_bucket SET move = $3, token = $4 WHERE group_name = $1 AND bucket = $2",
                   {move.group, std::to_string(number(move.bucket)), std::to_string(move.id), move.token});
        node.query("ALTER TABLE " + root + " DETACH PARTITION " + leaf);
        node.query("DROP TABLE " + leaf);
        node.query("ALTER TABLE " + table.staging.quoted() + " SET SCHEMA " + quote_identifier(table.leaf.schema));
        const QualifiedName moved{table.leaf.schema, table.staging.name};
        node.query("ALTER TABLE " + moved.quoted() + " RENAME TO " + quote_identifier(table.leaf.name));
        if (!owner.boolean(0, 1)) { // the owner may have nothing in schema keyshift
            node.query("ALTER TABLE " + leaf + " OWNER TO " + std::string(owner.text(0, 0)));
        }
        for (const IndexName& index : names) {
            node.query("ALTER INDEX " + QualifiedName{table.leaf.schema, index.staged}.quoted() + " RENAME TO " +
                       quote_identifier(index.final));
        }
        node.query(fmt::format("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES WITH (MODULUS {}, REMAINDER {})", root,
                               leaf, context_.group.buckets.modulus(move.bucket), number(move.bucket)));
        node.query("ALTER TABLE " + leaf + " DROP CONSTRAINT keyshift_bucket");
        silence_user_triggers(node, table);
    }

    void explain(const MoveTable& table)
    {
        const auto holders =
            pg::blockers(context_.recipient, {table.root, table.leaf}, false, std::chrono::milliseconds(0));
        context_.journal.waiting_for(holders.empty() ? "a lock on " + table.leaf.to_string() + " on node " +
                                                           context_.move().recipient
                                                     : holders.front().sentence(context_.move().recipient));
        between_tries_();
    }

    MoveContext& context_;
    const std::function<void()>& between_tries_;
    std::stop_token stop_;
};

} // namespace

void attach_copies(MoveContext& context, const std::function<void()>& between_tries, std::stop_token stop)
{
    Attacher attacher(context, between_tries, stop);
    for (const MoveTable& table : context.tables) {
        if (table_exists(context.recipient, table.staging)) {
            attacher.attach(table);
        }
    }
    context.journal.waiting_for(std::nullopt);
}

} // namespace keyshift::resharder
