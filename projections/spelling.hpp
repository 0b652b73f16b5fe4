#pragma once
/// Values that are equal and read differently: "Bob" and "bob" of citext, 0 and -0. Of such a column one spelling may follow
/// another in one register.

#include "projections/definition.hpp"

namespace keyshift::projections {

/// A column of the primary key that may be spelt differently in the same row, by the projection's name for it.
bool may_be_respelt(const Definition& definition, const std::string& name);

} // namespace keyshift::projections
