#pragma once
/// What a server's error means for the caller: one table, by SQLSTATE (PostgreSQL docs, appendix A).

#include <string_view>

namespace keyshift::pg {

enum class SqlClass {
    transient,      ///< passes by itself: retry with back-off
    authentication, ///< credentials or pg_hba: no retry storm
    permanent,      ///< the statement or the state of the database is wrong
};

SqlClass classify(std::string_view sqlstate);

/// What an operator does about it: the third part of the error.
std::string_view advice(std::string_view sqlstate);

} // namespace keyshift::pg
