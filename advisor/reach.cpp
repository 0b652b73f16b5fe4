#include "advisor/reach.hpp"

#include <fmt/format.h>

#include <optional>
#include <vector>

namespace keyshift::advisor {

Bindings bindings_of(const Statement& statement)
{
    Bindings bindings;
    for (const Equality& equality : statement.equalities) {
        if (!equality.right) {
            bindings[equality.left].emplace(equality.value, equality.several);
        }
    }
    const auto spread = [&](const UseColumn& from, const UseColumn& to) {
        const auto known = bindings.find(from);
        if (known == bindings.end()) {
            return false;
        }
        const std::map<std::string, bool> values = known->second;
        std::map<std::string, bool>& bound = bindings[to];
        const std::size_t before = bound.size();
        bound.insert(values.begin(), values.end());
        return bound.size() != before;
    };
    for (bool changed = true; changed;) {
        changed = false;
        for (const Equality& equality : statement.equalities) {
            if (equality.right) {
                changed = (equality.binds_right && spread(equality.left, *equality.right)) || changed;
                changed = (equality.binds_left && spread(*equality.right, equality.left)) || changed;
            }
        }
    }
    return bindings;
}

namespace {

struct Keyed {
    std::size_t use = 0;
    const Placement* placement = nullptr;
    const std::map<std::string, bool>* values = nullptr; ///< nullptr: no value for the key
};

Reached unbound(const Statement& statement, const Keyed& keyed)
{
    const TableUse& use = statement.uses[keyed.use];
    if (statement.kind == Statement::Kind::insert && use.written) {
        return {Reach::all, fmt::format("the new row's {} is not in the statement", keyed.placement->key)};
    }
    return {Reach::all, fmt::format("{} is not asked for one {}", use.table.to_string(), keyed.placement->key)};
}

/// A value that the keys of all tables have in common; whether it is one of several.
std::optional<bool> common_value(const std::vector<Keyed>& tables)
{
    std::optional<bool> found;
    for (const auto& [value, several] : *tables.front().values) {
        bool everywhere = true;
        for (const Keyed& table : tables) {
            everywhere = everywhere && table.values->contains(value);
        }
        if (everywhere) {
            found = found.value_or(true) && several;
        }
    }
    return found;
}

} // namespace

Reached reach(const Statement& statement, const Bindings& bindings, const Placements& placements)
{
    std::vector<Keyed> distributed;
    std::optional<std::size_t> local;
    for (std::size_t use = 0; use < statement.uses.size(); ++use) {
        const Placement& placement = placements.at(statement.uses[use].table);
        if (placement.kind == Placement::Kind::distributed) {
            const auto values = bindings.find({use, placement.key});
            distributed.push_back({use, &placement, values == bindings.end() ? nullptr : &values->second});
        } else if (placement.kind == Placement::Kind::local) {
            local = use;
        }
    }
    if (distributed.empty()) {
        return {};
    }
    for (const Keyed& table : distributed) {
        if (statement.assigned.contains({table.use, table.placement->key})) {
            return {Reach::all, fmt::format("it changes {}, the key that says where the row is", table.placement->key)};
        }
        if (table.values == nullptr) {
            return unbound(statement, table);
        }
    }
    if (local) {
        return {Reach::all, fmt::format("{} is on one node only", statement.uses[*local].table.to_string())};
    }
    for (const Keyed& table : distributed) {
        if (table.placement->group != distributed.front().placement->group) {
            return {Reach::all, fmt::format("{} and {} are sharded by different keys",
                                            statement.uses[distributed.front().use].table.to_string(),
                                            statement.uses[table.use].table.to_string())};
        }
    }
    const auto several = common_value(distributed);
    if (!several) {
        return {Reach::all, "its tables are asked for different keys"};
    }
    return {*several ? Reach::keys : Reach::one, {}};
}

} // namespace keyshift::advisor
