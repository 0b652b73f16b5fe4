#include "catalog/operations/ddl_everywhere.hpp"

#include "catalog/operations/ddl_journal.hpp"
#include "core/backoff.hpp"
#include "core/error.hpp"
#include "core/failpoint.hpp"
#include "core/pg/blockers.hpp"

#include <fmt/format.h>

#include <memory>

namespace keyshift::catalog {

namespace {

using namespace std::chrono_literals;

bool is_lock_failure(const pg::TransientSqlError& error)
{
    return error.sqlstate() == "55P03" || error.sqlstate() == "40P01";
}

[[noreturn]] void give_up(const std::string& waits_for)
{
    throw Error(ErrorKind::timed_out,
                {"keyshift ddl", "the lock was not got: " + waits_for,
                 "Nothing was changed. End that transaction, or allow more time with --timeout."});
}

void short_locks(pg::Connection& node)
{
    node.script("SET LOCAL lock_timeout = '100ms'; SET LOCAL search_path = public");
}

/// Placeholders refuse TRUNCATE; they are empty, and are put out of the way for the length of the transaction.
void truncate(pg::Connection& node, const DdlStatement& statement, const DdlTarget& target)
{
    std::vector<std::string> leaves;
    for (const CapturedTable& table : target.tables) {
        const pg::Result rows = node.query(
            "SELECT t.tgrelid::pg_catalog.regclass FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_inherits i ON i.inhrelid = t.tgrelid "
            "WHERE i.inhparent = $1::pg_catalog.regclass AND t.tgname = 'keyshift_reject_truncate' AND t.tgenabled = 'A'",
            {table.name.quoted()});
        for (int row = 0; row < rows.rows(); ++row) {
            leaves.emplace_back(rows.text(row, 0));
        }
    }
    for (const std::string& leaf : leaves) {
        node.script("ALTER TABLE " + leaf + " DISABLE TRIGGER keyshift_reject_truncate");
    }
    node.script(statement.text);
    for (const std::string& leaf : leaves) {
        node.script("ALTER TABLE " + leaf + " ENABLE ALWAYS TRIGGER keyshift_reject_truncate");
    }
}

/// One try: an open transaction on each node, all of which have run the statement.
class Prepared {
public:
    /// `at`: the node that it is at.
    Prepared(std::vector<OpenNode*> nodes, std::int64_t id, const DdlStatement& statement, const DdlTarget& target,
             OpenNode*& at)
        : nodes_(std::move(nodes))
    {
        for (OpenNode* open : nodes_) {
            pg::Connection& node = *open->connection;
            at = open;
            transactions_.push_back(std::make_unique<pg::Transaction>(node));
            short_locks(node);
            if (statement.kind == DdlStatement::Kind::truncate) {
                truncate(node, statement, target);
            } else {
                node.script(statement.text);
            }
            mark(node, id);
        }
    }

    void commit()
    {
        failpoint("ddl.prepared");
        for (std::size_t at = 0; at < nodes_.size(); ++at) {
            transactions_[at]->commit();
            failpoint("ddl.committed");
        }
    }

private:
    std::vector<OpenNode*> nodes_;
    std::vector<std::unique_ptr<pg::Transaction>> transactions_;
};

} // namespace

std::string lock_holder(pg::Connection& node, const DdlTarget& target)
{
    std::vector<QualifiedName> names;
    for (const CapturedTable& table : target.tables) {
        names.push_back(table.name);
    }
    const auto holders = pg::blockers(node, names, false, 0ms);
    return holders.empty() ? "a lock on " + names.front().to_string() + " on node " + node.name()
                           : holders.front().sentence(node.name());
}

void with_tries(pg::Connection& node, const DdlTarget& target, const KeepTrying& keep_trying,
                const std::function<void()>& body)
{
    Backoff backoff(50ms, 2000ms);
    while (true) {
        try {
            pg::Transaction transaction(node);
            short_locks(node);
            body();
            transaction.commit();
            return;
        } catch (const pg::TransientSqlError& error) {
            if (!is_lock_failure(error)) {
                throw;
            }
        }
        if (const std::string holder = lock_holder(node, target); !keep_trying(holder)) {
            give_up(holder);
        }
        backoff.wait({});
    }
}

void run_everywhere(std::vector<OpenNode>& nodes, std::int64_t id, const DdlStatement& statement,
                    const DdlTarget& target, const KeepTrying& keep_trying)
{
    std::vector<OpenNode*> without;
    for (OpenNode& node : nodes) {
        if (!is_marked(*node.connection, id)) {
            without.push_back(&node);
        }
    }
    Backoff backoff(50ms, 2000ms);
    while (true) {
        OpenNode* stuck = nullptr;
        try {
            Prepared(without, id, statement, target, stuck).commit();
            return;
        } catch (const pg::TransientSqlError& error) {
            if (!is_lock_failure(error)) {
                throw;
            }
        }
        if (const std::string holder = lock_holder(*stuck->connection, target); !keep_trying(holder)) {
            give_up(holder);
        }
        backoff.wait({});
    }
}

} // namespace keyshift::catalog
