#include "advisor/join_columns.hpp"

namespace keyshift::advisor {

std::set<UseColumn> equal_to_key(const UseColumn& key, const std::vector<JoinedTable>& joins, const ColumnPairs& where)
{
    std::set<UseColumn> equal{key};
    const auto spread = [&](const UseColumn& from, const UseColumn& to) {
        if (equal.contains(from)) {
            equal.insert(to);
        }
    };
    for (std::size_t before = 0; before != equal.size();) {
        before = equal.size();
        for (const JoinedTable& join : joins) {
            for (const auto& [left, right] : join.on) {
                // A LEFT JOIN chooses rows of its right table alone.
                if (!join.left || right.use == join.use) {
                    spread(left, right);
                }
                if (!join.left || left.use == join.use) {
                    spread(right, left);
                }
            }
        }
        for (const auto& [left, right] : where) {
            spread(left, right);
            spread(right, left);
        }
    }
    return equal;
}

void leave_twins_out(const std::vector<JoinedTable>& joins, const UseColumn& key, std::set<UseColumn>& columns)
{
    for (const JoinedTable& join : joins) {
        for (const auto& [left, right] : join.on) {
            if (join.left || left.column != right.column) {
                continue;
            }
            const UseColumn& gone = right == key ? left : right;
            if (columns.contains(left) && columns.contains(right) && gone != key) {
                columns.erase(gone);
            }
        }
    }
}

} // namespace keyshift::advisor
