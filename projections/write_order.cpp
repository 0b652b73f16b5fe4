#include "projections/write_order.hpp"

#include <algorithm>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace keyshift::projections {

namespace {

/// In the order of the texts, as far as they go: a text that is greater has no smaller number.
std::uint64_t first_bytes(const std::optional<std::string>& text)
{
    std::uint64_t bytes = 0;
    for (std::size_t at = 0; at < sizeof bytes; ++at) {
        bytes = bytes << 8U | (text && at < text->size() ? static_cast<std::uint8_t>((*text)[at]) : 0U);
    }
    return bytes;
}

} // namespace

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
    // Nearly all comparisons end at the first bytes of the first column, which lie beside each other here.
    std::vector<std::pair<std::uint64_t, RowChange*>> sorted;
    sorted.reserve(changes.size());
    for (RowChange* change : changes) {
        sorted.emplace_back(columns.empty() ? 0 : first_bytes(change->base[columns.front()]), change);
    }
    std::stable_sort(sorted.begin(), sorted.end(), [&](const auto& a, const auto& b) {
        if (a.first != b.first) {
            return a.first < b.first;
        }
        const auto order = compare(a.second, b.second);
        return order != 0 ? order < 0 : a.second->version > b.second->version;
    });
    changes.clear();
    std::uint64_t last = 0;
    for (const auto& [bytes, change] : sorted) {
        if (changes.empty() || bytes != last || compare(changes.back(), change) != 0) {
            changes.push_back(change);
        }
        last = bytes;
    }
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
