#pragma once
/// Slot and publication of a node, which have the same name.

#include "core/lsn.hpp"
#include "core/pg/connection.hpp"

#include <cstdint>
#include <string>

namespace keyshift::catalog {

/// Makes the publication unless it is there, and sees to it that every change of its tables is in it, each by its leaf.
void make_publication(pg::Connection& node, const std::string& name);
/// Makes the slot unless it is there. Outside any transaction that has written: PostgreSQL refuses to make a slot in one.
void make_slot(pg::Connection& node, const std::string& name);
/// The one that is written now: the last checkpoint still has the old one for a while after a promotion.
std::uint32_t timeline_of(pg::Connection& node);
/// Drops the slot where there is one and makes it anew; changes from the LSN it returns on will come. Refused while somebody
/// reads it.
Lsn remake_slot(pg::Connection& node, const std::string& name);

} // namespace keyshift::catalog
