#include "projections/commands/verdict.hpp"

#include <algorithm>

namespace keyshift::projections {

namespace {

/// Whether the definition places the row under this key.
bool belongs(const Definition& definition, const SettledRow& row, const Register& held)
{
    if (row.hash.empty()) {
        return false;
    }
    for (std::size_t at = 0; at < definition.key_base.size(); ++at) {
        if (row.base[definition.base_column(definition.key_base[at])] != held.key[at]) {
            return false;
        }
    }
    return true;
}

/// Without one it is nowhere.
bool has_key(const Definition& definition, const BaseRow& row)
{
    return std::all_of(definition.key_base.begin(), definition.key_base.end(),
                       [&](const std::string& column) { return row[definition.base_column(column)].has_value(); });
}

} // namespace

std::vector<const Register*> registers_of(const Registers& all, const RowKey& row)
{
    std::vector<const Register*> held;
    for (auto [at, end] = all.equal_range(row); at != end; ++at) {
        held.push_back(&at->second);
    }
    return held;
}

std::vector<const Register*> left_over(const Definition& definition, const SettledRow& row,
                                       std::span<const Register* const> held)
{
    std::vector<const Register*> over;
    std::copy_if(held.begin(), held.end(), std::back_inserter(over), [&](const Register* one) {
        return one->live && one->version <= row.version && !belongs(definition, row, *one);
    });
    return over;
}

Verdict judge(const Definition& definition, const SettledRow& row, std::span<const Register* const> held)
{
    const bool over = !left_over(definition, row, held).empty();
    const bool newer =
        std::any_of(held.begin(), held.end(), [&](const Register* one) { return one->version > row.version; });
    const auto there = std::find_if(held.begin(), held.end(), [&](const Register* one) {
        return one->live && one->version <= row.version && belongs(definition, row, *one);
    });
    if (over) {
        return row.hash.empty() ? Verdict::extra : Verdict::different;
    }
    if (newer) {
        return Verdict::newer;
    }
    if (row.hash.empty()) {
        return Verdict::equal;
    }
    return there == held.end() ? Verdict::missing : (*there)->hash != row.hash ? Verdict::different : Verdict::equal;
}

std::vector<RowChange> mending_changes(const Definition& definition, const SettledRow& row,
                                       std::span<const Register* const> held)
{
    std::vector<RowChange> changes;
    if (row.present && has_key(definition, row.base)) {
        changes.push_back({row.base, row.version, true, {}, {}});
    }
    for (const Register* over : left_over(definition, row, held)) {
        RowChange& gone = changes.emplace_back(RowChange{row.base, row.version, false, {}, {}});
        bool elsewhere = !row.present;
        for (std::size_t at = 0; at < definition.key_base.size(); ++at) {
            auto& value = gone.base[definition.base_column(definition.key_base[at])];
            elsewhere = elsewhere || value != over->key[at];
            value = over->key[at];
        }
        if (!elsewhere) {
            changes.pop_back(); // the definition's WHERE says so, when the row itself is written
        }
    }
    return changes;
}

} // namespace keyshift::projections
