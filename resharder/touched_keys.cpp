#include "resharder/touched_keys.hpp"

#include <algorithm>

namespace keyshift::resharder {

void TouchedKeys::add(const cdc::OwnedTransaction& transaction)
{
    for (const cdc::OwnedChange& change : transaction.changes) {
        add(change);
    }
}

void TouchedKeys::add(const cdc::OwnedChange& change)
{
    const auto table = std::find_if(tables_.begin(), tables_.end(),
                                    [&](const MoveTable& one) { return one.leaf == change.relation->name; });
    if (table == tables_.end() || change.kind == cdc::ChangeKind::truncate) {
        unknown_ = true;
        return;
    }
    const auto index = static_cast<std::size_t>(table - tables_.begin());
    if (change.before) {
        add(index, *change.relation, *change.before, !change.old_is_key);
    }
    if (change.after) {
        add(index, *change.relation, *change.after, true);
    }
}

void TouchedKeys::add(std::size_t table, const cdc::Relation& relation, const std::vector<cdc::OwnedDatum>& row,
                      bool whole)
{
    std::vector<std::string> key;
    for (const std::string& name : tables_[table].primary_key) {
        for (std::size_t i = 0; i < relation.columns.size(); ++i) {
            const bool present = row[i].kind == cdc::Datum::Kind::text && (whole || relation.columns[i].identity);
            if (relation.columns[i].name == name && present) {
                key.push_back(row[i].text);
            }
        }
    }
    if (key.size() != tables_[table].primary_key.size()) {
        unknown_ = true;
    } else if (keys_[table].insert(std::move(key)).second) {
        ++count_;
    }
}

} // namespace keyshift::resharder
