#include "projections/co_location.hpp"

#include <algorithm>

namespace keyshift::projections {

std::optional<BoundColumn> bind_column(const CompositeSelect& select, const Branch& branch, const UseColumns& columns,
                                       const ColumnReference& reference)
{
    for (std::size_t use = branch.first; use < branch.last; ++use) {
        if ((reference.table.empty() || reference.table == select.uses[use].alias) &&
            columns[use].contains(reference.column)) {
            return BoundColumn{use, reference.column};
        }
    }
    return std::nullopt;
}

namespace {

/// Column of each use for each part of the key; empty: none.
using Parts = std::vector<std::vector<std::string>>;

/// True: something was learned.
bool spread(Parts& parts, const BoundColumn& known, const BoundColumn& other, const Equality& equality)
{
    bool learned = false;
    if (other.use < equality.first || other.use >= equality.last) {
        return false;
    }
    for (std::size_t part = 0; part < parts[known.use].size(); ++part) {
        if (parts[known.use][part] == known.column && parts[other.use][part].empty()) {
            parts[other.use][part] = other.column;
            learned = true;
        }
    }
    return learned;
}

} // namespace

std::vector<std::vector<std::string>> keyed_columns(const CompositeSelect& select, const Branch& branch,
                                                    const UseColumns& columns, const std::vector<BoundColumn>& key)
{
    Parts parts(select.uses.size(), std::vector<std::string>(key.size()));
    for (std::size_t part = 0; part < key.size(); ++part) {
        parts[key[part].use][part] = key[part].column;
    }
    for (bool learned = true; learned;) {
        learned = false;
        for (const Equality& equality : branch.equalities) {
            const auto left = bind_column(select, branch, columns, equality.left);
            const auto right = bind_column(select, branch, columns, equality.right);
            if (left && right) {
                learned = spread(parts, *left, *right, equality) || learned;
                learned = spread(parts, *right, *left, equality) || learned;
            }
        }
    }
    for (std::vector<std::string>& of_use : parts) {
        if (std::any_of(of_use.begin(), of_use.end(), [](const std::string& column) { return column.empty(); })) {
            of_use.clear();
        }
    }
    return parts;
}

std::vector<std::string> joined_by(const CompositeSelect& select, const Branch& branch, const UseColumns& columns,
                                   std::size_t use)
{
    std::vector<std::string> found;
    for (const Equality& equality : branch.equalities) {
        for (const ColumnReference* side : {&equality.left, &equality.right}) {
            const auto bound = bind_column(select, branch, columns, *side);
            if (bound && bound->use == use && std::find(found.begin(), found.end(), bound->column) == found.end()) {
                found.push_back(bound->column);
            }
        }
    }
    return found;
}

} // namespace keyshift::projections
