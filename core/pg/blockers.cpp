#include "core/pg/blockers.hpp"

#include <fmt/format.h>

namespace keyshift::pg {

std::string Blocker::sentence(const std::string& node) const
{
    const std::string who =
        pid ? fmt::format("pid {} ({}, {} for {:.1f} s)", *pid, application.empty() ? user : application,
                          state.empty() ? "running" : state, seconds)
            : "a prepared transaction";
    return fmt::format("{} holds {} on {} on node {}", who, lock, table, node);
}

std::vector<Blocker> blockers(Connection& node, const std::vector<QualifiedName>& tables, bool writers_only,
                              std::chrono::milliseconds older_than)
{
    std::string names = "{";
    for (const QualifiedName& table : tables) {
        std::string quoted = table.quoted();
        std::string escaped;
        for (const char c : quoted) {
            escaped += (c == '"' || c == '\\') ? std::string("\\") + c : std::string(1, c);
        }
        names += (names.size() > 1 ? ",\"" : "\"") + escaped + '"';
    }
    names += '}';
    const auto rows = node.query(
        "SELECT l.pid, coalesce(a.application_name, ''), coalesce(a.usename, ''), coalesce(a.state, ''), l.relation::regclass::text, "
        "l.mode, coalesce(extract(epoch FROM clock_timestamp() - a.xact_start), 0), coalesce(a.query, '') "
        "FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid "
        "WHERE l.locktype = 'relation' AND l.granted "
        "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
        "AND l.relation IN (SELECT to_regclass(t)::oid FROM unnest($1::text[]) t) "
        "AND (NOT $2::boolean OR l.mode NOT IN ('AccessShareLock', 'RowShareLock')) "
        "AND coalesce(a.application_name, '') NOT LIKE 'keyshift move %' "
        "AND (a.xact_start IS NULL OR a.xact_start <= clock_timestamp() - make_interval(secs => $3::float8 / 1000)) "
        "ORDER BY a.xact_start NULLS FIRST",
        {names, writers_only ? "true" : "false", std::to_string(older_than.count())});
    std::vector<Blocker> found;
    for (int row = 0; row < rows.rows(); ++row) {
        Blocker blocker;
        if (!rows.is_null(row, 0)) {
            blocker.pid = rows.integer(row, 0);
        }
        blocker.application = rows.text(row, 1);
        blocker.user = rows.text(row, 2);
        blocker.state = rows.text(row, 3);
        blocker.table = rows.text(row, 4);
        blocker.lock = rows.text(row, 5);
        blocker.seconds = rows.real(row, 6);
        blocker.query = rows.text(row, 7);
        found.push_back(std::move(blocker));
    }
    return found;
}

} // namespace keyshift::pg
