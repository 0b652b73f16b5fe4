#pragma once
/// Inside core/pg: opening a libpq connection the way all of Keyshift wants it.

#include "core/handle.hpp"
#include "core/pg/connection.hpp"

#include <libpq-fe.h>

#include <string>
#include <string_view>

namespace keyshift::pg {

using PgConnection = Handle<PGconn, &PQfinish>;
using PgResult = Handle<PGresult, &PQclear>;

/// Connects; throws Error(unreachable) naming node, host and port. `replication`: a walsender connection.
PgConnection open_session(const ConnectionSettings& settings, bool replication);
/// Statements that make a new session one of Keyshift's, and the name it has in pg_stat_activity.
std::string_view session_setup();
std::string application_name(const ConnectionSettings& settings);
/// The error a failed result or broken connection stands for: SqlError or TransientSqlError. `ended_by`: SQLSTATE by which
/// the server ended the session before, if it is known.
[[noreturn]] void throw_error(PGconn* connection, const PGresult* result, const std::string& name,
                              const std::string& doing, const std::string& ended_by = {});

} // namespace keyshift::pg
