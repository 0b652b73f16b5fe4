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

} // namespace keyshift::projections
