#include "advisor/key_choice.hpp"

#include "advisor/domains.hpp"
#include "advisor/placement_reasons.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace keyshift::advisor {

namespace {

using Kind = Placement::Kind;

bool contains(const std::vector<std::string>& names, const std::string& name)
{
    return std::find(names.begin(), names.end(), name) != names.end();
}

class Chooser {
public:
    Chooser(const DatabaseStatistics& database, const Workload& workload)
        : database_(database), workload_(workload), domains_(database, workload), calls_(workload.calls())
    {
        for (const auto& [name, table] : database.tables) {
            placements_[name] = {};
            find_candidates(table);
            bytes_ += table.bytes;
        }
        for (std::size_t at = 0; at < workload.asked.size(); ++at) {
            for (const TableUse& use : workload.asked[at].statement.uses) {
                asked_of_[use.table].insert(at);
            }
        }
    }

    Placements choose()
    {
        settle_references();
        distribute_all();
        settle_single_tables();
        distribute_all();
        explain_placements(placements_, database_, workload_);
        return placements_;
    }

private:
    void find_candidates(const TableStatistics& table)
    {
        if (!table.shard_key.empty()) {
            candidates_[table.name] = {table.shard_key};
        }
        if (!table.plain || !table.shard_key.empty()) {
            return;
        }
        std::set<std::string> wanted(table.primary_key.begin(), table.primary_key.end());
        for (const ForeignKey& key : table.foreign_keys) {
            wanted.insert(key.columns.begin(), key.columns.end());
        }
        for (const Asked& asked : workload_.asked) {
            for (const auto& [column, values] : asked.bindings) {
                if (asked.statement.uses[column.use].table == table.name) {
                    wanted.insert(column.column);
                }
            }
        }
        for (const ColumnStatistics& column : table.columns) {
            const TableColumn domain = domains_.of({table.name, column.name});
            if ((wanted.contains(column.name) || domain != TableColumn{table.name, column.name}) &&
                unfit_as_key(table, column).empty()) {
                candidates_[table.name].push_back(column.name);
            }
        }
    }

    void put(const QualifiedName& table, const std::string& column)
    {
        const TableColumn domain = domains_.of({table, column});
        const std::string type = database_.tables.at(table).column(column)->type;
        placements_[table] = {
            Kind::distributed, column, domain.table.to_string() + "." + domain.column + " " + type, {}};
    }

    /// Calls that one shard answers; writes count twice, since no projection helps them.
    double answered(const std::set<std::size_t>& statements) const
    {
        double sum = 0;
        for (const std::size_t at : statements) {
            const Asked& asked = workload_.asked[at];
            const Reach found = reach(asked.statement, asked.bindings, placements_).reach;
            const double part = found == Reach::one ? 1 : found == Reach::keys ? 0.5 : 0;
            sum += part * asked.calls * (asked.writes() ? 2 : 1);
        }
        return calls_ > 0 ? sum / calls_ : 0;
    }

    /// What speaks for the place of a table beside the calls: foreign keys that stay, a primary key that has the key in it.
    double kept(const QualifiedName& name) const
    {
        double sum = 0;
        for (const auto& [child, table] : database_.tables) {
            for (const ForeignKey& key : table.foreign_keys) {
                sum += (child == name || key.parent == name) && stays(child, key) ? 0.02 : 0;
            }
        }
        const Placement& placement = placements_.at(name);
        const TableStatistics& table = database_.tables.at(name);
        if (placement.kind == Kind::distributed && contains(table.primary_key, placement.key)) {
            sum += placement.key == table.primary_key.front() ? 0.004 : 0.003;
        }
        return sum;
    }

    bool stays(const QualifiedName& child, const ForeignKey& key) const
    {
        const Placement& from = placements_.at(child);
        const auto to = placements_.find(key.parent);
        if (to == placements_.end() || from.kind != Kind::distributed || from.group != to->second.group) {
            return false;
        }
        const auto at = std::find(key.columns.begin(), key.columns.end(), from.key);
        return at != key.columns.end() &&
               key.parent_columns[static_cast<std::size_t>(at - key.columns.begin())] == to->second.key;
    }

    double value() const
    {
        std::set<std::size_t> all;
        for (std::size_t at = 0; at < workload_.asked.size(); ++at) {
            all.insert(at);
        }
        double sum = answered(all);
        for (const auto& [name, table] : database_.tables) {
            sum += kept(name);
        }
        return sum;
    }

    /// One table at a time to the column that answers most, until none gains.
    void climb()
    {
        constexpr int kRounds = 10;
        bool changed = true;
        for (int round = 0; round < kRounds && changed; ++round) {
            changed = false;
            for (const QualifiedName& name : open_) {
                const Placement before = placements_.at(name);
                Placement best = before;
                double most = answered(asked_of_[name]) + kept(name);
                for (const std::string& column : candidates_.at(name)) {
                    put(name, column);
                    const double here = answered(asked_of_[name]) + kept(name);
                    if (here > most + 1e-9) {
                        most = here;
                        best = placements_.at(name);
                    }
                }
                placements_[name] = best;
                changed = changed || !(best == before);
            }
        }
    }

    /// From each domain in turn, so that tables which gain only together are moved together.
    void distribute_all()
    {
        open_.clear();
        std::set<TableColumn> starts;
        for (const auto& [name, columns] : candidates_) {
            if (settled_.contains(name) || columns.empty()) {
                continue;
            }
            open_.push_back(name);
            for (const std::string& column : columns) {
                starts.insert(domains_.of({name, column}));
            }
        }
        Placements best = placements_;
        double most = -1;
        for (const TableColumn& start : starts) {
            for (const QualifiedName& name : open_) {
                const std::vector<std::string>& columns = candidates_.at(name);
                const auto same = std::find_if(columns.begin(), columns.end(), [&](const std::string& column) {
                    return domains_.of({name, column}) == start;
                });
                put(name, same == columns.end() ? columns.front() : *same);
            }
            climb();
            if (const double found = value(); found > most + 1e-9) {
                most = found;
                best = placements_;
            }
        }
        placements_ = best;
    }

    bool alone(const QualifiedName& name) const
    {
        const Placement& own = placements_.at(name);
        return own.kind != Kind::distributed ||
               std::none_of(placements_.begin(), placements_.end(), [&](const auto& other) {
                   return other.first != name && other.second.kind == Kind::distributed &&
                          other.second.group == own.group;
               });
    }

    double calls_of(const QualifiedName& name, bool written_alone) const
    {
        double sum = 0;
        for (const Asked& asked : workload_.asked) {
            const auto& uses = asked.statement.uses;
            sum +=
                std::any_of(uses.begin(), uses.end(),
                            [&](const TableUse& use) { return use.table == name && (use.written || !written_alone); })
                    ? asked.calls
                    : 0;
        }
        return calls_ > 0 ? sum / calls_ : 0;
    }

    bool rarely_written(const TableStatistics& table) const
    {
        if (calls_ > 0) {
            return calls_of(table.name, true) <= kReferenceWrites;
        }
        // Its rows were written once; what was written beside that is seldom.
        const std::int64_t again =
            table.updated + table.deleted + std::max<std::int64_t>(table.inserted - table.rows, 0);
        return again <= std::max<std::int64_t>(table.rows / 10, 100);
    }

    /// Those that are some already; and where no calls are known, those that tables far larger point at.
    void settle_references()
    {
        for (const auto& [name, table] : database_.tables) {
            const bool dictionary =
                calls_ == 0 && table.plain && table.shard_key.empty() && rarely_written(table) &&
                table.rows <= kDictionaryRows &&
                std::any_of(database_.tables.begin(), database_.tables.end(), [&](const auto& child) {
                    const auto& keys = child.second.foreign_keys;
                    return child.second.rows / kDictionaryTimes >= table.rows &&
                           std::any_of(keys.begin(), keys.end(),
                                       [&](const ForeignKey& key) { return key.parent == name; });
                });
            if (table.reference || dictionary) {
                placements_[name] = {Kind::reference, {}, {}, {}};
                settled_.insert(name);
            }
        }
    }

    /// Tables that lie with no other: copied to every node, left on one, or distributed for their size.
    void settle_single_tables()
    {
        const Placements chosen = placements_;
        for (const auto& [name, table] : database_.tables) {
            if (!alone(name) || settled_.contains(name) || !table.shard_key.empty()) {
                continue;
            }
            const std::set<QualifiedName> others = neighbours_of(name, database_, workload_);
            const bool large = static_cast<double>(table.bytes) >= kLarge * static_cast<double>(bytes_) ||
                               calls_of(name, false) >= kLarge;
            const bool small = table.rows <= kReferenceRows && table.bytes <= kReferenceBytes;
            if (small && table.plain && !others.empty() && rarely_written(table) && !table.primary_key.empty() &&
                (!large || is_parent(name))) {
                placements_[name] = {Kind::reference, {}, {}, {}};
                settled_.insert(name);
            } else if (chosen.at(name).kind == Kind::distributed && others.empty() && !large) {
                placements_[name] = {};
                settled_.insert(name);
            }
        }
        if (std::none_of(placements_.begin(), placements_.end(),
                         [](const auto& one) { return one.second.kind == Kind::distributed; })) {
            for (auto& [name, placement] : placements_) {
                placement = {};
                settled_.insert(name);
            }
        }
    }

    bool is_parent(const QualifiedName& name) const
    {
        return std::any_of(database_.tables.begin(), database_.tables.end(), [&](const auto& child) {
            return child.first != name &&
                   std::any_of(child.second.foreign_keys.begin(), child.second.foreign_keys.end(),
                               [&](const ForeignKey& key) { return key.parent == name; });
        });
    }

    const DatabaseStatistics& database_;
    const Workload& workload_;
    Domains domains_;
    double calls_;
    std::int64_t bytes_ = 0;
    std::map<QualifiedName, std::vector<std::string>> candidates_;
    std::map<QualifiedName, std::set<std::size_t>> asked_of_;
    std::set<QualifiedName> settled_;
    std::vector<QualifiedName> open_;
    Placements placements_;
};

} // namespace

std::string unfit_as_key(const TableStatistics& table, const ColumnStatistics& column)
{
    if (!column.hashable || column.null_share > 0) {
        return column.hashable ? "it is NULL in some rows" : "its type is no key's";
    }
    if (column.distinct && *column.distinct < kFewestValues) {
        return fmt::format("it has {:.0f} different values", *column.distinct);
    }
    if (column.top_share > kMostOfOneValue && table.rows > 0) {
        return fmt::format("{:.0f} % of the rows have one value", 100 * column.top_share);
    }
    return {};
}

Placements choose_placements(const DatabaseStatistics& database, const Workload& workload)
{
    return Chooser(database, workload).choose();
}

} // namespace keyshift::advisor
