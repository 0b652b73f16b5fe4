#include "projections/horizon.hpp"

namespace keyshift::projections {

/// A number of our own: a snapshot's end is behind the newest that has ended, and so before those in progress that are newer still.
Horizon::Horizon(pg::Connection& node) : barrier_(node.query("SELECT pg_catalog.pg_current_xact_id()::text").text(0, 0))
{
}

bool Horizon::passed(pg::Connection& node) const
{
    return node.query("SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot()) >= $1::xid8", {barrier_})
        .boolean(0, 0);
}

} // namespace keyshift::projections
