#include "core/pg/session.hpp"

#include "core/pg/sqlstate.hpp"
#include "core/secret_file.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace keyshift::pg {

namespace {

constexpr const char* kSession =
    "SET client_encoding = 'UTF8'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; SET timezone = 'UTC'; "
    "SET extra_float_digits = 1; SET bytea_output = 'hex'; SET statement_timeout = 0; SET lock_timeout = 0; "
    "SET idle_in_transaction_session_timeout = 0; SET idle_session_timeout = 0; SET standard_conforming_strings = on; "
    "SET default_transaction_isolation = 'read committed'; SET client_min_messages = 'warning'; SET search_path = pg_catalog; "
    "SET keyshift.map = 'any'"; // strict tables: Keyshift itself goes by no map

std::string trimmed(const char* text)
{
    std::string out = text == nullptr ? "" : text;
    while (!out.empty() && (out.back() == '\n' || out.back() == ' ')) {
        out.pop_back();
    }
    return out;
}

/// Read at each connect, so that a rotated password needs no restart. Never in a message (INV-OPS-2).
std::string read_password(const ConnectionSettings& settings)
{
    if (settings.password_file.empty()) {
        return {};
    }
    return read_secret_file("the password file of " + settings.name, settings.password_file);
}

struct Words {
    std::vector<const char*> names;
    std::vector<const char*> values;

    void add(const char* name, const char* value)
    {
        names.push_back(name);
        values.push_back(value);
    }
};

ErrorParts unreachable(PGconn* connection, const ConnectionSettings& settings)
{
    const char* host = connection == nullptr ? nullptr : PQhost(connection);
    const char* port = connection == nullptr ? nullptr : PQport(connection);
    const std::string why = trimmed(connection == nullptr ? "out of memory" : PQerrorMessage(connection));
    const bool credentials = why.find("authentication") != std::string::npos ||
                             why.find("pg_hba.conf") != std::string::npos ||
                             why.find("no password supplied") != std::string::npos;
    return {fmt::format("connecting to {} at {}:{}", settings.name, host == nullptr ? "?" : host,
                        port == nullptr ? "?" : port),
            why,
            credentials ? "Check the user, its password (password file, passfile or service) and pg_hba.conf."
                        : "Check that the server runs and that host, port and database are right."};
}

/// Why the server ended the session: libpq's text of a lost connection holds the FATAL before it, "FATAL:  57P01: ...".
std::string lost_by(const std::string& words, const std::string& ended_by)
{
    const std::size_t at = words.find(":  57P0");
    return at != std::string::npos ? words.substr(at + 3, 5) : ended_by.empty() ? "08006" : ended_by;
}

/// After an error that is libpq's own. It leaves the status as it is where writing failed while the server's last words were
/// still to be read (a keepalive had found it gone, and the session's end told why): the next reads tell.
bool is_lost(PGconn* connection)
{
    constexpr int kReads = 3;
    for (int read = 0; read < kReads && PQstatus(connection) == CONNECTION_OK; ++read) {
        PQconsumeInput(connection);
    }
    return PQstatus(connection) == CONNECTION_BAD;
}

std::string one_line(std::string text)
{
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
}

/// Message, DETAIL and HINT, without what holds values of rows: those of class 23 name the key in the DETAIL, those of
/// class 22 the value after a colon (INV-OPS-2 and no row in a log).
std::string server_words(const PGresult* result, const std::string& sqlstate)
{
    std::string message = trimmed(PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
    if (sqlstate.starts_with("22")) {
        message = message.substr(0, message.find(": \""));
    }
    std::string words = fmt::format("{} [{}]", message, sqlstate);
    const bool shows_values = sqlstate.starts_with("22") || sqlstate.starts_with("23");
    for (const int field : {PG_DIAG_MESSAGE_DETAIL, PG_DIAG_MESSAGE_HINT}) {
        const char* more = PQresultErrorField(result, field);
        if (more != nullptr && !(shows_values && field == PG_DIAG_MESSAGE_DETAIL)) {
            words += "; " + trimmed(more);
        }
    }
    return words;
}

} // namespace

std::string_view session_setup()
{
    return kSession;
}

std::string application_name(const ConnectionSettings& settings)
{
    return fmt::format("keyshift {}", settings.purpose).substr(0, 63);
}

PgConnection open_session(const ConnectionSettings& settings, bool replication)
{
    const std::string password = read_password(settings);
    const std::string application = application_name(settings);
    Words words;
    words.add("connect_timeout", "5");
    words.add("keepalives_idle", "10");
    words.add("keepalives_interval", "5");
    words.add("keepalives_count", "3");
    words.add("tcp_user_timeout", "25000");
    words.add("fallback_application_name", "keyshift");
    // Expanded by libpq; what it says overrides the words before it.
    words.add("dbname", settings.conninfo.c_str());
    words.add("application_name", application.c_str());
    if (!password.empty()) {
        words.add("password", password.c_str());
    }
    if (replication) {
        words.add("replication", "database");
    }
    words.add(nullptr, nullptr);
    PgConnection connection(PQconnectdbParams(words.names.data(), words.values.data(), 1));
    if (!connection || PQstatus(connection.get()) != CONNECTION_OK) {
        throw Error(ErrorKind::unreachable, unreachable(connection.get(), settings));
    }
    // Only the texts of a lost connection are read; they name the SQLSTATE in this form alone.
    PQsetErrorVerbosity(connection.get(), PQERRORS_VERBOSE);
    PQsetNoticeProcessor(
        connection.get(), [](void*, const char*) {}, nullptr);
    // A walsender takes SQL too, and writes values as its session says (dates, floats, bytea).
    const PgResult set(PQexec(connection.get(), kSession));
    if (PQresultStatus(set.get()) != PGRES_COMMAND_OK) {
        throw_error(connection.get(), set.get(), settings.name, "setting the session up");
    }
    return connection;
}

void throw_error(PGconn* connection, const PGresult* result, const std::string& name, const std::string& doing,
                 const std::string& ended_by)
{
    const char* state = result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const std::string words = trimmed(PQerrorMessage(connection));
    const bool lost = state == nullptr ? is_lost(connection) : PQstatus(connection) == CONNECTION_BAD;
    const std::string sqlstate = state != nullptr ? state : lost ? lost_by(words, ended_by) : "XX001";
    const std::string why =
        state != nullptr ? server_words(result, sqlstate) : fmt::format("{} [{}]", one_line(words), sqlstate);
    ErrorParts parts{fmt::format("{} on {}", doing, name), why, std::string(advice(sqlstate))};
    if (lost || classify(sqlstate) == SqlClass::transient) {
        throw TransientSqlError(sqlstate, std::move(parts));
    }
    throw SqlError(sqlstate, std::move(parts));
}

} // namespace keyshift::pg
