#include "projections/reference/copy_fill.hpp"

#include "catalog/rows.hpp"
#include "core/backoff.hpp"
#include "core/failpoint.hpp"
#include "core/log.hpp"
#include "projections/horizon.hpp"

#include <fmt/core.h>

namespace keyshift::projections {

using namespace std::chrono_literals;

namespace {

constexpr const char* kStaging = "pg_temp.keyshift_fill";
constexpr int kRowsAtOnce = 1000;

/// The same row by its key's text: operators of the type need not be in the search_path.
std::string same_key(const ReferenceTable& table)
{
    std::string condition;
    for (const std::size_t place : table.key) {
        const std::string name = quote_identifier(table.columns[place].name);
        condition += fmt::format("{}f.{}::text = c.{}::text", condition.empty() ? "" : " AND ", name, name);
    }
    return condition;
}

/// Rows of the snapshot that the copy lacks or has otherwise.
std::string changed_rows(const ReferenceTable& table)
{
    return fmt::format(
        "{0} f WHERE NOT EXISTS (SELECT FROM {1} c WHERE {2} AND ROW({3}) IS NOT DISTINCT FROM ROW({4}))", kStaging,
        table.name.quoted(), same_key(table), column_list(table, "c.", "::text"), column_list(table, "f.", "::text"));
}

std::string surplus_rows(const ReferenceTable& table)
{
    return fmt::format("{} c WHERE NOT EXISTS (SELECT FROM {} f WHERE {})", table.name.quoted(), kStaging,
                       same_key(table));
}

/// Rows of the copy that the snapshot has not, or has otherwise.
std::string wrong_rows(const ReferenceTable& table)
{
    return fmt::format("{} c WHERE NOT EXISTS (SELECT FROM {} f WHERE {} AND ROW({}) IS NOT DISTINCT FROM ROW({}))",
                       table.name.quoted(), kStaging, same_key(table), column_list(table, "c.", "::text"),
                       column_list(table, "f.", "::text"));
}

} // namespace

bool may_replace_rows(pg::Connection& node, const QualifiedName& table)
{
    return node
        .query(
            "SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE confrelid = $1::regclass AND contype = 'f' "
            "AND confdeltype IN ('c', 'n', 'd'))",
            {table.quoted()})
        .boolean(0, 0);
}

std::optional<std::string> try_row(pg::Connection& node, const std::function<void()>& change)
{
    node.script("SAVEPOINT keyshift_row");
    try {
        change();
    } catch (const pg::SqlError& error) {
        if (!refuses_the_row(error.sqlstate())) {
            throw;
        }
        node.script("ROLLBACK TO SAVEPOINT keyshift_row; RELEASE SAVEPOINT keyshift_row");
        return error.parts().why;
    }
    node.script("RELEASE SAVEPOINT keyshift_row");
    return std::nullopt;
}

CopyFill::CopyFill(pg::Connection& node, pg::Connection& home, const CopyOwner& owner, const ReferenceTable& table,
                   std::function<void(const std::string&)> waiting)
    : node_(node), home_(home), owner_(owner), table_(table), waiting_(std::move(waiting))
{
}

/// Whoever runs when the offsets are known must have ended.
void CopyFill::wait_visible(std::stop_token stop)
{
    const Horizon horizon(home_);
    Backoff backoff(5ms, 500ms);
    for (bool said = false; !horizon.passed(home_); said = true) {
        if (said) {
            waiting_("transactions that were writing on " + table_.home + " when it began are to end");
        }
        if (!backoff.wait(stop)) {
            throw TransientError({"filling the copy of " + table_.name.to_string(), "the daemon stops",
                                  "It begins anew at its next start."});
        }
    }
}

std::string CopyFill::take_snapshot(CopyState& state, std::stop_token stop)
{
    node_.script(
        fmt::format("DROP TABLE IF EXISTS {0}; CREATE TEMP TABLE keyshift_fill AS SELECT {1} FROM {2} WHERE false",
                    kStaging, column_list(table_), table_.name.quoted()));
    pg::Transaction transaction(home_, pg::Transaction::Isolation::repeatable_read);
    // The lock comes before the snapshot: no TRUNCATE can make it see an emptiness that is not its own.
    home_.script(fmt::format("LOCK TABLE {} IN ACCESS SHARE MODE", table_.name.quoted()));
    const pg::Result taken =
        home_.query("SELECT pg_catalog.pg_current_wal_insert_lsn(), pg_catalog.pg_current_snapshot()::text");
    state.filled = taken.lsn(0, 0);
    std::string snapshot(taken.text(0, 1));
    const std::string columns = column_list(table_);
    node_.copy_in_begin(fmt::format("COPY {} ({}) FROM STDIN", kStaging, columns), stop);
    try {
        home_.copy_out(
            fmt::format("COPY (SELECT {} FROM ONLY {}) TO STDOUT", columns, table_.name.quoted()),
            [&](std::string_view rows) { node_.copy_in_put(rows, stop); }, stop);
    } catch (const Error&) {
        node_.copy_in_abort("the home's rows did not come");
        throw;
    }
    const std::int64_t rows = node_.copy_in_end(stop);
    node_.script(fmt::format("ANALYZE {}", kStaging));
    state.complete = home_.query("SELECT pg_catalog.pg_current_wal_insert_lsn()").lsn(0, 0);
    transaction.commit();
    log::info("references", "table={} node={} {} rows read from {}", table_.name.to_string(), node_.name(), rows,
              table_.home);
    return snapshot;
}

void CopyFill::merge(const CopyState& state, const std::string& snapshot, Merge how)
{
    pg::Transaction transaction(node_);
    owner_.filled(table_.name, state, snapshot);
    node_.script("SET CONSTRAINTS ALL DEFERRED");
    node_.query("DELETE FROM keyshift.reference_conflict WHERE root = $1::regclass", {table_.name.quoted()});
    node_.script("DELETE FROM " + (how == Merge::replace ? wrong_rows(table_) : surplus_rows(table_)));
    std::string set;
    for (std::size_t place = 0; place < table_.columns.size(); ++place) {
        const std::string name = quote_identifier(table_.columns[place].name);
        set += table_.settable[place] ? fmt::format("{}{} = excluded.{}", set.empty() ? "" : ", ", name, name) : "";
    }
    node_.script(fmt::format("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} ON CONFLICT ({}) DO {}",
                             table_.name.quoted(), column_list(table_), column_list(table_, "f."), changed_rows(table_),
                             key_list(table_), set.empty() ? "NOTHING" : "UPDATE SET " + set));
    failpoint("reference.filling");
    transaction.commit();
}

void CopyFill::remove_carefully(CopyWriter& writer)
{
    node_.script(fmt::format("DECLARE surplus NO SCROLL CURSOR FOR SELECT {} FROM {}", key_list(table_, "c.", "::text"),
                             surplus_rows(table_)));
    for (bool more = true; more;) {
        const pg::Result rows = node_.query(fmt::format("FETCH {} FROM surplus", kRowsAtOnce));
        for (int row = 0; row < rows.rows(); ++row) {
            RowKey key;
            for (int column = 0; column < rows.columns(); ++column) {
                key.emplace_back(rows.text(row, column));
            }
            if (const auto why = try_row(node_, [&] { writer.remove(key); })) {
                writer.remember_conflict(key, *why);
            }
        }
        more = rows.rows() > 0;
    }
}

void CopyFill::put_carefully(CopyWriter& writer)
{
    node_.script(fmt::format("DECLARE changed NO SCROLL CURSOR FOR SELECT {} FROM {}",
                             column_list(table_, "f.", "::text"), changed_rows(table_)));
    for (bool more = true; more;) {
        const pg::Result rows = node_.query(fmt::format("FETCH {} FROM changed", kRowsAtOnce));
        for (int row = 0; row < rows.rows(); ++row) {
            BaseRow values;
            for (int column = 0; column < rows.columns(); ++column) {
                values.push_back(rows.optional_text(row, column));
            }
            if (const auto why = try_row(node_, [&] { writer.put(values); })) {
                RowKey key;
                for (const std::size_t place : table_.key) {
                    key.push_back(values[place].value_or(""));
                }
                writer.remember_conflict(key, *why);
            }
        }
        more = rows.rows() > 0;
    }
}

void CopyFill::merge_carefully(const CopyState& state, const std::string& snapshot)
{
    CopyWriter writer(node_, table_);
    pg::Transaction transaction(node_);
    owner_.filled(table_.name, state, snapshot);
    node_.script("SET CONSTRAINTS ALL IMMEDIATE");
    node_.query("DELETE FROM keyshift.reference_conflict WHERE root = $1::regclass", {table_.name.quoted()});
    remove_carefully(writer);
    put_carefully(writer);
    transaction.commit();
}

CopyState CopyFill::run(TopicOffsets offsets, std::stop_token stop)
{
    CopyState state;
    state.shape = table_.shape;
    state.offsets = std::move(offsets);
    wait_visible(stop);
    const std::string snapshot = take_snapshot(state, stop);
    state.held.emplace(snapshot);
    failpoint("reference.fill.read");
    const auto merged = [&](Merge how) {
        try {
            merge(state, snapshot, how);
            return true;
        } catch (const pg::SqlError& error) {
            if (!refuses_the_row(error.sqlstate())) {
                throw;
            }
            return false;
        }
    };
    if (!merged(Merge::in_place) && !(may_replace_rows(node_, table_.name) && merged(Merge::replace))) {
        merge_carefully(state, snapshot);
    }
    node_.script(fmt::format("DROP TABLE IF EXISTS {}", kStaging));
    return state;
}

} // namespace keyshift::projections
