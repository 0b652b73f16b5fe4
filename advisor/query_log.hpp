#pragma once
/// The statements that a database is asked, and how often: from pg_stat_statements or from a file.

#include "core/pg/connection.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace keyshift::advisor {

struct LoggedQuery {
    std::string text;
    double calls = 1;
    double rows = 0;         ///< returned or written, over all calls
    double milliseconds = 0; ///< over all calls
};

struct QueryLog {
    std::string from; ///< "pg_stat_statements", a file's name; empty: nowhere
    std::vector<LoggedQuery> queries;
    std::size_t hidden = 0; ///< statements of roles that this one may not look at
    std::string missing;    ///< why there is none
};

/// One statement per `;`, each with the calls that a line `-- calls: N` before it says. Throws Error(usage) naming the line.
QueryLog read_query_file(const std::string& name, const std::string& text);
/// Of this database. Without the extension: `missing` says what to do.
QueryLog read_query_statistics(pg::Connection& connection);

} // namespace keyshift::advisor
