#pragma once
/// Whether a projection differs from its definition in one row. Pure.

#include "projections/commands/settled_rows.hpp"
#include "projections/row_change.hpp"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace keyshift::projections {

enum class Verdict {
    equal,
    missing,
    extra,
    different,
    newer, ///< a later change of the row is in the projection already: nothing can be said about this one
};

/// `held`: all registers of the row, read after the projection has shown what was before row.version.
Verdict judge(const Definition& definition, const SettledRow& row, std::span<const Register* const> held);
/// Those of the registers in which the row stands without being there.
std::vector<const Register*> left_over(const Definition& definition, const SettledRow& row,
                                       std::span<const Register* const> held);
/// The row as it is and, wherever else it stands, that it is not there, all at the version of the locked read: any change
/// that comes later wins, and any that came before loses.
std::vector<RowChange> mending_changes(const Definition& definition, const SettledRow& row,
                                       std::span<const Register* const> held);

/// The registers of one row.
std::vector<const Register*> registers_of(const Registers& all, const RowKey& row);

} // namespace keyshift::projections
