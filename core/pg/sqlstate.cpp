#include "core/pg/sqlstate.hpp"

#include <algorithm>
#include <array>

namespace keyshift::pg {

namespace {

// Whole classes (two characters) and single codes that pass by themselves.
constexpr std::array<std::string_view, 14> kTransient{
    "08",    // connection exceptions
    "40",    // serialization failure, deadlock, statement completion unknown
    "53",    // out of connections, memory, disk
    "57014", // query canceled (statement_timeout, or somebody's cancel)
    "57P01", // terminated by an administrator
    "57P02", // crash shutdown
    "57P03", // cannot connect now
    "57P05", // idle session timeout
    "25P03", // idle in transaction timeout
    "55P03", // lock not available
    "55006", // object in use: a slot with another reader
    "58000", // system error
    "58030", // i/o error
    "XX000", // internal: two sessions replace one function at once ("tuple concurrently updated")
};

} // namespace

SqlClass classify(std::string_view sqlstate)
{
    if (sqlstate.starts_with("28")) {
        return SqlClass::authentication;
    }
    const bool passes = std::any_of(kTransient.begin(), kTransient.end(),
                                    [&](std::string_view entry) { return sqlstate.starts_with(entry); });
    return passes ? SqlClass::transient : SqlClass::permanent;
}

} // namespace keyshift::pg
