#pragma once
/// A definition whose base table calls columns otherwise: the same rows under the same names. Pure.

#include "projections/definition.hpp"

#include <map>
#include <string>

namespace keyshift::projections {

/// Old name -> new name. None of the new ones was a column's before.
using Renames = std::map<std::string, std::string>;

/// Events from before still have the old names: BaseColumn::former.
Definition renamed(Definition definition, const Renames& renames);
/// One SELECT over the table; what it shows keeps its names.
std::string renamed_select(const std::string& sql, const Renames& renames);

} // namespace keyshift::projections
