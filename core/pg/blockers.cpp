#include "core/pg/blockers.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keyshift::pg {

namespace {

std::string array_of(const std::vector<QualifiedName>& tables)
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
    return names + '}';
}

struct Holder {
    Blocker shown;
    std::string transaction; ///< virtual, of the server
    bool age_known = true;
};

/// Begin and query of a transaction are shown to its own role and to members of pg_read_all_stats alone.
constexpr const char* kHolders =
    "SELECT l.pid, coalesce(a.application_name, ''), coalesce(a.usename, ''), coalesce(a.state, ''), l.relation::regclass::text, "
    "l.mode, coalesce(extract(epoch FROM clock_timestamp() - a.xact_start), 0), coalesce(a.query, ''), l.virtualtransaction, "
    "l.pid IS NULL OR a.xact_start IS NOT NULL "
    "FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid "
    "WHERE l.locktype = 'relation' AND l.granted "
    "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND l.relation IN (SELECT to_regclass(t)::oid FROM unnest($1::text[]) t) "
    "AND (NOT $2::boolean OR l.mode NOT IN ('AccessShareLock', 'RowShareLock')) "
    "AND coalesce(a.application_name, '') NOT LIKE 'keyshift move %' "
    "AND (a.xact_start IS NULL OR a.xact_start <= clock_timestamp() - make_interval(secs => $3::float8 / 1000)) "
    "ORDER BY a.xact_start NULLS FIRST";

std::vector<Holder> holders(Connection& node, const std::vector<Parameter>& parameters)
{
    const auto rows = node.query(kHolders, parameters);
    std::vector<Holder> found;
    for (int row = 0; row < rows.rows(); ++row) {
        Holder holder;
        Blocker& blocker = holder.shown;
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
        holder.transaction = rows.text(row, 8);
        holder.age_known = rows.boolean(row, 9);
        found.push_back(std::move(holder));
    }
    return found;
}

} // namespace

std::string Blocker::sentence(const std::string& node) const
{
    const std::string age = seconds > 0 ? fmt::format(" for {:.1f} s", seconds) : "";
    const std::string who = pid ? fmt::format("pid {} ({}, {}{})", *pid, application.empty() ? user : application,
                                              state.empty() ? "running" : state, age)
                                : "a prepared transaction";
    return fmt::format("{} holds {} on {} on node {}", who, lock, table, node);
}

std::vector<Blocker> blockers(Connection& node, const std::vector<QualifiedName>& tables, bool writers_only,
                              std::chrono::milliseconds older_than)
{
    const std::string names = array_of(tables);
    const std::string older = std::to_string(older_than.count());
    const std::vector<Parameter> parameters{names, writers_only ? "true" : "false", older};
    std::vector<Holder> found = holders(node, parameters);
    const auto age_unknown = [](const Holder& one) {
        return !one.age_known;
    };
    if (older_than.count() > 0 && std::any_of(found.begin(), found.end(), age_unknown)) {
        // Whoever is still there at a second look is as old as that.
        node.query("SELECT pg_sleep($1::float8 / 1000)", {older});
        const std::vector<Holder> still = holders(node, parameters);
        std::erase_if(found, [&](const Holder& one) {
            return !one.age_known && std::none_of(still.begin(), still.end(), [&](const Holder& other) {
                return other.transaction == one.transaction;
            });
        });
    }
    std::vector<Blocker> shown;
    for (Holder& one : found) {
        shown.push_back(std::move(one.shown));
    }
    return shown;
}

} // namespace keyshift::pg
