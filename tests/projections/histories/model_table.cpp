#include "tests/projections/histories/model_table.hpp"

#include <fmt/core.h>

#include <vector>

namespace keyshift::test {

using projections::BaseRow;
using projections::ChangeList;
using projections::RowChange;

ModelDefinition::ModelDefinition(int hidden_amount) : hidden(std::to_string(hidden_amount))
{
    definition.name = "by_user";
    definition.base = {"public", "t"};
    definition.alias = "t";
    definition.group = "by_user";
    definition.select_list = "user_id, id, amount";
    definition.condition = fmt::format("user_id IS NOT NULL AND amount <> {}", hidden);
    definition.skip_null = true;
    definition.columns = {{"user_id", "integer"}, {"id", "integer"}, {"amount", "integer"}};
    definition.key = {"user_id"};
    definition.key_base = {"user_id"};
    definition.key_types = {"integer"};
    definition.pk = {"id"};
    definition.pk_names = {"id"};
    definition.base_columns = {{"id", "integer", "int4", -1, false},
                               {"user_id", "integer", "int4", -1, false},
                               {"amount", "integer", "int4", -1, false}};
}

bool ModelDefinition::shows(const BaseRow& row) const
{
    return row[kUser] && row[kAmount] && *row[kAmount] != hidden;
}

ModelKey key_of(const BaseRow& row)
{
    return {std::stoi(row[kUser].value()), std::stoi(row[kId].value())};
}

void ModelTable::count(int user, const Stored& row, int sign)
{
    Totals& totals = totals_[user];
    totals.rows += sign;
    totals.sum += sign * std::stoi(row.amount.value());
    if (totals.rows == 0 && totals.sum == 0) {
        totals_.erase(user);
    }
}

void ModelTable::upsert(const ModelDefinition& writer, const ChangeList& changes, const Rules& rules,
                        const std::function<void()>& between)
{
    std::vector<std::optional<Stored>> before; // ks_old: as of the statement's snapshot
    for (const RowChange* change : changes) {
        const auto found = rows_.find(key_of(change->base));
        before.push_back(found == rows_.end() || !found->second.live ? std::nullopt : std::optional(found->second));
    }
    if (between) {
        between();
    }
    for (std::size_t at = 0; at < changes.size(); ++at) {
        const RowChange& change = *changes[at];
        const ModelKey key = key_of(change.base);
        const bool live = change.live && writer.shows(change.base);
        const Stored written{live ? change.base[kAmount] : std::nullopt, change.version, live};
        // The guard looks at the newest row, whatever the snapshot.
        const auto found = rows_.find(key);
        const bool taken = found == rows_.end() || rules.takes(found->second.version, change.version);
        if (!taken && rules.counts_differences) {
            continue;
        }
        if (before[at] && rules.counts_differences) {
            count(key.first, *before[at], -1);
        }
        if (live) {
            count(key.first, written, 1);
        }
        rewritten_ += found != rows_.end() && found->second.version == change.version ? 1 : 0;
        if (live || rules.keeps_tombstones) {
            rows_[key] = written;
        } else {
            rows_.erase(key);
        }
    }
}

std::map<int, Totals> ModelTable::totals_by_rows() const
{
    std::map<int, Totals> totals;
    for (const auto& [key, row] : rows_) {
        if (row.live) {
            totals[key.first].rows += 1;
            totals[key.first].sum += std::stoi(row.amount.value());
        }
    }
    return totals;
}

} // namespace keyshift::test
