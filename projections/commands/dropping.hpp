#pragma once
/// What goes with a definition: its tables and view, and the replica identity that was made for it.

#include "core/pg/connection.hpp"
#include "projections/definition.hpp"

#include <optional>
#include <string>
#include <vector>

namespace keyshift::projections {

struct Dropped {
    Definition definition;
    bool handed_over = false; ///< another projection needs the replica identity, and has taken it over
    std::vector<Definition> generations;
};

/// `name`: in keyshift.projection, where its state says already that it goes.
Dropped begin_drop(pg::Connection& catalog, const std::string& name);
/// In the caller's transaction. `view`: what reads them, if it goes too.
void drop_on(pg::Connection& node, const std::vector<Dropped>& parts, const std::optional<QualifiedName>& view);

} // namespace keyshift::projections
