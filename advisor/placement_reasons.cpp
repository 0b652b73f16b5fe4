#include "advisor/placement_reasons.hpp"

#include "advisor/key_choice.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keyshift::advisor {

namespace {

bool names(const Asked& asked, const QualifiedName& table)
{
    const auto& uses = asked.statement.uses;
    return std::any_of(uses.begin(), uses.end(), [&](const TableUse& use) { return use.table == table; });
}

std::string why_distributed(const TableStatistics& table, const Placements& placements, const Workload& workload)
{
    double calls = 0;
    double single = 0;
    for (const Asked& asked : workload.asked) {
        if (names(asked, table.name)) {
            calls += asked.calls;
            single += reach(asked.statement, asked.bindings, placements).reach == Reach::one ? asked.calls : 0;
        }
    }
    std::string why = "by foreign keys, names and the primary key: no calls of it are known";
    if (calls > 0) {
        why = fmt::format("{:.0f} % of its calls ask one shard", 100 * single / calls);
    }
    const ColumnStatistics& column = *table.column(placements.at(table.name).key);
    why += column.distinct ? fmt::format("; {:.0f} different keys", *column.distinct)
                           : std::string("; no statistics of it to see: run ANALYZE, and advise as its owner");
    return table.shard_key.empty() ? why : why + "; distributed already";
}

std::string why_no_key(const TableStatistics& table)
{
    std::string why;
    for (const std::string& name : table.primary_key) {
        const std::string unfit = unfit_as_key(table, *table.column(name));
        if (unfit.empty()) {
            return {};
        }
        why += (why.empty() ? "" : ", ") + name + ": " + unfit;
    }
    return "no column can be its key: " + (why.empty() ? "it has no primary key" : why);
}

std::string why_local(const TableStatistics& table, bool tied)
{
    if (!table.plain) {
        return "partitioned or inherited already; only a plain table can be distributed";
    }
    if (!tied) {
        return fmt::format("{} rows, and no other table is joined to it", table.rows);
    }
    const std::string why = why_no_key(table);
    return why.empty() ? "no table is worth distributing beside it" : why;
}

} // namespace

std::set<QualifiedName> neighbours_of(const QualifiedName& name, const DatabaseStatistics& database,
                                      const Workload& workload)
{
    std::set<QualifiedName> found;
    for (const auto& [child, table] : database.tables) {
        for (const ForeignKey& key : table.foreign_keys) {
            if (child == name) {
                found.insert(key.parent);
            } else if (key.parent == name) {
                found.insert(child);
            }
        }
    }
    for (const Asked& asked : workload.asked) {
        if (names(asked, name)) {
            for (const TableUse& use : asked.statement.uses) {
                found.insert(use.table);
            }
        }
    }
    found.erase(name);
    return found;
}

void explain_placements(Placements& placements, const DatabaseStatistics& database, const Workload& workload)
{
    for (auto& [name, placement] : placements) {
        const TableStatistics& table = database.tables.at(name);
        switch (placement.kind) {
        case Placement::Kind::distributed:
            placement.why = why_distributed(table, placements, workload);
            break;
        case Placement::Kind::reference:
            placement.why =
                table.reference
                    ? "a reference table already"
                    : fmt::format("{} rows, rarely written, joined or pointed at by other tables", table.rows);
            break;
        case Placement::Kind::local:
            placement.why = why_local(table, !neighbours_of(name, database, workload).empty());
            break;
        }
    }
}

} // namespace keyshift::advisor
