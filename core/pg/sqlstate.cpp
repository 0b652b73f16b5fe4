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

struct Advice {
    std::string_view beginning; ///< class or code; the first row that fits counts
    std::string_view text;
};
constexpr std::array<Advice, 12> kAdvice{{
    {"28", "Check the user, its password (password file, passfile or service) and pg_hba.conf."},
    {"42501", "Grant the right to the user that Keyshift connects as, or connect as the owner."},
    {"53300", "Raise max_connections, or wait until sessions end; it is tried again."},
    {"53400",
     "Raise the server's limit that the message names (max_replication_slots, max_wal_senders); it is tried again."},
    {"531", "Free disk space on the server; it is tried again."},
    {"55P03", "Another session holds the lock (`keyshift reshard explain` names it); it is tried again."},
    {"55006", "Another session uses the object; end it if it is not Keyshift's. It is tried again."},
    {"3F000", "Run `keyshift init`; add the node with `keyshift node add` when it has no schema keyshift."},
    {"42P01", "Check the name of the table and that it is in this database."},
    {"42703", "Check the name of the column."},
    {"KS001", "Send the statement to the node that the message names."},
    {"23", "Find the row that breaks the constraint in the server's log and mend it."},
}};

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

std::string_view advice(std::string_view sqlstate)
{
    for (const Advice& row : kAdvice) {
        if (sqlstate.starts_with(row.beginning)) {
            return row.text;
        }
    }
    return classify(sqlstate) == SqlClass::transient
               ? "It is tried again when the server answers."
               : "The server's log has the statement; mend what the message names and run it again.";
}

} // namespace keyshift::pg
