#include "projections/write_order.hpp"

#include <algorithm>
#include <compare>

namespace keyshift::projections {

std::vector<RowChange*> newest_of_each(const Definition& definition, std::vector<RowChange*> changes)
{
    std::vector<std::size_t> columns;
    for (const auto* names : {&definition.key_base, &definition.pk}) {
        for (const std::string& name : *names) {
            columns.push_back(definition.base_column(name));
        }
    }
    const auto compare = [&](const RowChange* a, const RowChange* b) {
        for (const std::size_t column : columns) {
            if (const auto order = a->base[column] <=> b->base[column]; order != 0) {
                return order;
            }
        }
        return std::strong_ordering::equal;
    };
    std::stable_sort(changes.begin(), changes.end(), [&](const RowChange* a, const RowChange* b) {
        const auto order = compare(a, b);
        return order != 0 ? order < 0 : a->version > b->version;
    });
    const auto same = [&](const RowChange* a, const RowChange* b) {
        return compare(a, b) == 0;
    };
    changes.erase(std::unique(changes.begin(), changes.end(), same), changes.end());
    return changes;
}

namespace {

/// What the node does not own any more; the rest is committed.
ChangeList write_node(WrittenNodes& nodes, const std::string& node, const ChangeList& changes, const Offsets& told)
{
    ChangeList refused;
    const auto transaction = nodes.begin(node);
    const ChangeList accepted = changes.empty() ? changes : transaction->lock_open(changes, refused);
    if (!accepted.empty()) {
        transaction->upsert(accepted);
    }
    // Behind the upsert, whose lock keeps the table: the owner is asked about the table that was written.
    if (told.empty()) {
        transaction->check_owner();
    } else {
        transaction->tell(told);
    }
    transaction->commit();
    return refused;
}

/// What was refused, of all nodes.
ChangeList write_round(WrittenNodes& nodes, const ChangeList& changes, const Offsets& told)
{
    std::map<std::string, ChangeList> by_node;
    for (const std::string& node : told.empty() ? std::vector<std::string>{} : nodes.nodes()) {
        by_node[node];
    }
    for (const RowChange* change : changes) {
        for (const std::string& node : nodes.places(*change)) {
            by_node[node].push_back(change);
        }
    }
    ChangeList left;
    for (const auto& [node, part] : by_node) {
        const ChangeList refused = write_node(nodes, node, part, told);
        left.insert(left.end(), refused.begin(), refused.end());
    }
    return left;
}

/// Changes of a bucket that is changing its node are tried again until the new owner takes them.
void write_phase(WrittenNodes& nodes, const ChangeList& changes, const Offsets& told)
{
    ChangeList left = write_round(nodes, changes, told);
    while (!left.empty()) {
        nodes.await_placement();
        left = write_round(nodes, left, {});
    }
}

} // namespace

void write_in_order(WrittenNodes& nodes, const std::vector<RowChange*>& changes, const Offsets& told)
{
    ChangeList live;
    ChangeList tombstones;
    for (const RowChange* change : changes) {
        (change->live ? live : tombstones).push_back(change);
    }
    // Rows appear at their new key before they go from the old one.
    write_phase(nodes, live, tombstones.empty() ? told : Offsets{});
    if (!tombstones.empty()) {
        write_phase(nodes, tombstones, told);
    }
}

} // namespace keyshift::projections
