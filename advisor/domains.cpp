#include "advisor/domains.hpp"

namespace keyshift::advisor {

TableColumn Domains::of(const TableColumn& column) const
{
    TableColumn top = column;
    for (auto next = above_.find(top); next != above_.end(); next = above_.find(top)) {
        top = next->second;
    }
    return top;
}

void Domains::unite(const TableColumn& one, const TableColumn& other)
{
    const TableColumn left = of(one);
    const TableColumn right = of(other);
    if (left != right) {
        above_[right] = left;
    }
}

Domains::Domains(const DatabaseStatistics& database, const Workload& workload)
{
    for (const auto& [name, table] : database.tables) {
        for (const ForeignKey& key : table.foreign_keys) {
            for (std::size_t at = 0; at < key.columns.size(); ++at) {
                unite({key.parent, key.parent_columns[at]}, {name, key.columns[at]});
            }
        }
        if (table.primary_key.size() != 1 || table.primary_key.front() == "id") {
            continue;
        }
        const ColumnStatistics* key = table.column(table.primary_key.front());
        for (const auto& [other, child] : database.tables) {
            const ColumnStatistics* same = child.column(key->name);
            if (same != nullptr && same->type == key->type) {
                unite({name, key->name}, {other, key->name});
            }
        }
    }
    for (const Asked& asked : workload.asked) {
        std::map<std::string, TableColumn> parameters;
        for (const Equality& equality : asked.statement.equalities) {
            const TableColumn left{asked.statement.uses[equality.left.use].table, equality.left.column};
            if (equality.right) {
                unite(left, {asked.statement.uses[equality.right->use].table, equality.right->column});
            } else if (equality.value.starts_with('$')) {
                unite(parameters.try_emplace(equality.value, left).first->second, left);
            }
        }
    }
}

} // namespace keyshift::advisor
