#pragma once
/// Inside core/pg: what connection.cpp and copy.cpp share.

#include "core/pg/session.hpp"

#include <set>
#include <string>

namespace keyshift::pg {

struct Connection::State {
    PgConnection connection;
    std::set<std::string> prepared;
    /// SQLSTATE of a FATAL that came while no statement ran (57P01: an administrator); libpq reports it as a notice.
    std::string ended_by;
};

/// Throws what a failed result stands for; `sql` appears in the message by its first words, never with its values.
PgResult checked(PGconn* connection, PGresult* raw, const std::string& name, const std::string& sql);

} // namespace keyshift::pg
