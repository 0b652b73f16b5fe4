#include "advisor/advice.hpp"

#include "advisor/sql_name.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace keyshift::advisor {

namespace {

/// Parents of foreign keys before their children, then the larger before the smaller.
std::vector<QualifiedName> parents_first(const DatabaseStatistics& database, const Placements& placements)
{
    std::vector<QualifiedName> waiting;
    for (const auto& [name, placement] : placements) {
        if (placement.kind == Placement::Kind::distributed) {
            waiting.push_back(name);
        }
    }
    const auto is_key = [&](const QualifiedName& name) {
        const std::vector<std::string>& key = database.tables.at(name).primary_key;
        return key.size() == 1 && key.front() == placements.at(name).key;
    };
    std::stable_sort(waiting.begin(), waiting.end(), [&](const QualifiedName& left, const QualifiedName& right) {
        const bool has_buckets = !database.tables.at(left).shard_key.empty();
        if (has_buckets == database.tables.at(right).shard_key.empty()) {
            return has_buckets;
        }
        if (is_key(left) != is_key(right)) {
            return is_key(left);
        }
        return database.tables.at(left).bytes > database.tables.at(right).bytes;
    });
    std::vector<QualifiedName> order;
    while (!waiting.empty()) {
        auto next = std::find_if(waiting.begin(), waiting.end(), [&](const QualifiedName& name) {
            const auto& keys = database.tables.at(name).foreign_keys;
            return std::none_of(keys.begin(), keys.end(), [&](const ForeignKey& key) {
                return key.parent != name && std::find(waiting.begin(), waiting.end(), key.parent) != waiting.end();
            });
        });
        next = next == waiting.end() ? waiting.begin() : next;
        order.push_back(*next);
        waiting.erase(next);
    }
    return order;
}

} // namespace

Advice advise(const DatabaseStatistics& database, const Workload& workload, std::optional<int> nodes)
{
    Advice advice;
    advice.verdict = judge(database, nodes);
    advice.placements = choose_placements(database, workload);
    std::map<std::string, QualifiedName> leaders;
    for (const QualifiedName& name : parents_first(database, advice.placements)) {
        const auto [leader, fresh] = leaders.emplace(advice.placements.at(name).group, name);
        advice.order.emplace_back(name, fresh ? std::nullopt : std::optional(leader->second));
    }
    advice.projections = plan_projections(database, workload, advice.placements);
    for (const Asked& asked : workload.asked) {
        const Reach found = reach(asked.statement, asked.bindings, advice.placements).reach;
        advice.calls += asked.calls;
        advice.calls_of_one += found == Reach::one ? asked.calls : 0;
        advice.calls_of_keys += found == Reach::keys ? asked.calls : 0;
    }
    return advice;
}

std::vector<std::string> commands_of(const Advice& advice, const DatabaseStatistics& database, const std::string& dsn)
{
    std::vector<std::string> commands;
    if (!database.has_catalog) {
        commands.emplace_back("keyshift init");
        commands.push_back("keyshift node add n1 --dsn " + shell_word(dsn));
    }
    for (const auto& [name, placement] : advice.placements) {
        if (placement.kind == Placement::Kind::reference && !database.tables.at(name).reference) {
            commands.push_back("keyshift table reference " + shell_word(sql_name(name)));
        }
    }
    for (const auto& [name, leader] : advice.order) {
        if (!database.tables.at(name).shard_key.empty()) {
            continue;
        }
        std::string command = fmt::format("keyshift table distribute {} --key {}", shell_word(sql_name(name)),
                                          shell_word(advice.placements.at(name).key));
        if (leader) {
            command += " --with " + shell_word(sql_name(*leader));
        }
        commands.push_back(std::move(command));
    }
    for (const ProjectionNeed& projection : advice.projections.projections) {
        if (database.projections.contains(projection.name)) {
            continue;
        }
        commands.push_back(fmt::format("keyshift projection create {} --key {} --apply{} --sql {}", projection.name,
                                       shell_word(projection.key), projection.nullable.empty() ? "" : " --skip-null",
                                       shell_word(projection.sql)));
    }
    return commands;
}

} // namespace keyshift::advisor
