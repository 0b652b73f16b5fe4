#include "catalog/online/fill.hpp"

#include "catalog/rows.hpp"
#include "core/backoff.hpp"
#include "core/error.hpp"
#include "core/failpoint.hpp"
#include "core/pg/blockers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace keyshift::catalog {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

/// What has rows of the first form: the table itself, or one of its leaves. Blocks behind `blocks` hold rows that were
/// written since the twin was made, which are in it.
struct Piece {
    QualifiedName table;
    std::string file; ///< changes when the rows are written to another one: the copy of the piece begins anew
    std::int64_t blocks = 0;
    std::int64_t next = 0;
};

void look_at(pg::Connection& node, Piece& piece)
{
    const pg::Result row = node.query("SELECT pg_relation_filenode($1::regclass), pg_relation_size($1::regclass) / "
                                      "current_setting('block_size')::bigint",
                                      {piece.table.quoted()});
    piece.file = row.text(0, 0);
    piece.blocks = row.integer(0, 1);
    piece.next = 0;
}

std::vector<Piece> pieces_of(pg::Connection& node, const QualifiedName& table)
{
    const pg::Result rows = node.query(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE (c.oid = $1::regclass OR c.oid IN (SELECT relid FROM pg_partition_tree($1::regclass) WHERE isleaf)) "
        "AND c.relkind = 'r' ORDER BY c.oid",
        {table.quoted()});
    std::vector<Piece> pieces;
    for (int row = 0; row < rows.rows(); ++row) {
        pieces.push_back({{std::string(rows.text(row, 0)), std::string(rows.text(row, 1))}, {}, 0, 0});
        look_at(node, pieces.back());
    }
    return pieces;
}

bool passes_by_itself(const pg::TransientSqlError& error)
{
    return error.sqlstate() == "55P03" || error.sqlstate() == "40P01" || error.sqlstate() == "40001";
}

class Filling {
public:
    Filling(pg::Connection& node, const Twin& twin, const OnlineWork& work)
        : node_(node), twin_(twin), work_(work), columns_(quoted_list(twin.root.definition.writable_columns())),
          pieces_(pieces_of(node, twin.root.definition.name))
    {
    }

    void run()
    {
        for (Piece& piece : pieces_) {
            while (piece.next < piece.blocks) {
                step(piece);
                show();
            }
        }
    }

private:
    void step(Piece& piece)
    {
        check_stop(work_);
        const auto begin = Clock::now();
        try {
            copy(piece);
            pause_.reset();
        } catch (const pg::TransientSqlError& error) {
            if (!passes_by_itself(error)) {
                throw;
            }
            waits_for_ = who_holds(piece);
            pause_.wait(work_.stop);
            chunk_ = std::max<std::int64_t>(kFewestBlocks, chunk_ / 2);
            return;
        }
        waits_for_.clear();
        const auto took = Clock::now() - begin;
        if (took < 40ms) {
            chunk_ = std::min<std::int64_t>(chunk_ * 2, kMostBlocks);
        } else if (took > 120ms) {
            chunk_ = std::max<std::int64_t>(kFewestBlocks, chunk_ / 2);
        }
    }

    void copy(Piece& piece)
    {
        const std::string table = piece.table.quoted();
        const std::int64_t end = std::min(piece.blocks, piece.next + chunk_);
        pg::Transaction transaction(node_);
        node_.script("SET LOCAL lock_timeout = '200ms'; SET LOCAL row_security = off; LOCK TABLE ONLY " + table +
                     " IN ROW SHARE MODE");
        const std::string file(node_.query("SELECT pg_relation_filenode($1::regclass)", {table}).text(0, 0));
        if (file != piece.file) {
            look_at(node_, piece);
            return;
        }
        check_columns(node_, twin_);
        failpoint("online.fill.chunk");
        node_.script(fmt::format("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM ONLY {} "
                                 "WHERE ctid >= '({},0)' AND ctid < '({},0)' FOR KEY SHARE ON CONFLICT DO NOTHING",
                                 twin_.name.quoted(), columns_, columns_, table, piece.next, end));
        transaction.commit();
        piece.next = end;
    }

    std::string who_holds(const Piece& piece)
    {
        const std::vector<pg::Blocker> holders = pg::blockers(node_, {piece.table}, false, 100ms);
        return holders.empty() ? "" : holders.front().sentence(node_.name());
    }

    void show() const
    {
        std::int64_t all = 0;
        std::int64_t done = 0;
        for (const Piece& piece : pieces_) {
            all += piece.blocks;
            done += piece.next;
        }
        const double part = all == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(all);
        work_.show(part, waits_for_.empty() ? fmt::format("copying {}", twin_.root.definition.name.to_string())
                                            : "waits: " + waits_for_);
    }

    static constexpr std::int64_t kFewestBlocks = 8;
    static constexpr std::int64_t kMostBlocks = 4096;

    pg::Connection& node_;
    const Twin& twin_;
    const OnlineWork& work_;
    const std::string columns_;
    std::vector<Piece> pieces_;
    std::int64_t chunk_ = 16;
    std::string waits_for_;
    Backoff pause_{20ms, 1000ms};
};

std::string fingerprint(pg::Connection& node, const std::string& columns, const QualifiedName& table)
{
    const pg::Result row =
        node.query(fmt::format("SELECT count(*), coalesce(bit_xor(h), 0), coalesce(sum(h >> 20), 0) FROM "
                               "(SELECT hashtextextended(CAST(ROW({}) AS text), 0) AS h FROM {}) AS hashed",
                               columns, table.quoted()));
    return fmt::format("{} rows, {} {}", row.text(0, 0), row.text(0, 1), row.text(0, 2));
}

} // namespace

void fill_twin(pg::Connection& node, const Twin& twin, const OnlineWork& work)
{
    Filling(node, twin, work).run();
    node.script("ANALYZE " + twin.name.quoted());
}

void compare_twin(pg::Connection& node, const Twin& twin, const OnlineWork& work)
{
    check_stop(work);
    work.show(1, "comparing " + twin.root.definition.name.to_string());
    check_columns(node, twin);
    const std::string columns = quoted_list(twin.root.definition.writable_columns());
    pg::Transaction transaction(node, pg::Transaction::Isolation::repeatable_read);
    node.script("SET LOCAL row_security = off");
    const std::string first = fingerprint(node, columns, twin.root.definition.name);
    const std::string second = fingerprint(node, columns, twin.name);
    transaction.commit();
    if (first != second) {
        throw FatalError(
            {fmt::format("replacing {} on {}", twin.root.definition.name.to_string(), node.name()),
             fmt::format("its copy is not equal: {} against {}; the table was left as it is", first, second),
             "Repeat the command; if it happens again, use --offline and report it."});
    }
}

void wait_for_snapshots(pg::Connection& node, const Twin& twin, const OnlineWork& work)
{
    const std::string now(node.query("SELECT pg_current_xact_id()").text(0, 0));
    Backoff pause(10ms, 500ms);
    while (true) {
        check_stop(work);
        const pg::Result old = node.query(
            "SELECT pid, coalesce(application_name, ''), extract(epoch FROM clock_timestamp() - xact_start)::bigint "
            "FROM pg_stat_activity a WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_xmin IS NOT NULL "
            "AND usesysid IS NOT NULL AND NOT EXISTS (SELECT FROM pg_stat_replication r WHERE r.pid = a.pid) "
            "AND age(backend_xmin) > age($1::xid8::xid) ORDER BY xact_start LIMIT 1",
            {now});
        if (old.rows() == 0) {
            return;
        }
        check_columns(node, twin);
        work.show(1, fmt::format("waits: pid {} ({}) reads a snapshot from before the copy, for {} s", old.text(0, 0),
                                 old.text(0, 1), old.is_null(0, 2) ? "0" : old.text(0, 2)));
        pause.wait(work.stop);
    }
}

} // namespace keyshift::catalog
