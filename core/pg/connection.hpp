#pragma once
/// A connection to one PostgreSQL database and the results it returns. Blocking; belongs to one thread at a time.
/// Every failure is an Error: connection lost, 08/40/53/55P03/57 -> TransientError; the rest -> SqlError (a FatalError)
/// with its SQLSTATE. The message names the node (or "catalog"), never a password.

#include "core/error.hpp"
#include "core/lsn.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

struct pg_conn;
struct pg_result;

namespace keyshift::pg {

/// How to reach a database. Passwords never stand in `conninfo`: they come from a password file (read at each connect),
/// libpq's passfile or service, or PGPASSWORD.
struct ConnectionSettings {
    std::string name;          ///< node name or "catalog": for messages and application_name
    std::string conninfo;      ///< libpq conninfo or URI, without password
    std::string password_file; ///< optional; refused when others can read it
    std::string purpose;       ///< "cdc control", "move 7 copy": shows in pg_stat_activity
    /// A statement without an answer for this long ends as a lost connection; 0: never. For short statements of loops that
    /// must notice a network which has gone silent with its connections open.
    std::chrono::milliseconds answer_limit{0};
};

/// An error the server reported; sqlstate() has five characters.
class SqlError : public FatalError {
public:
    SqlError(std::string sqlstate, ErrorParts parts);
    const std::string& sqlstate() const noexcept { return sqlstate_; }

private:
    std::string sqlstate_;
};
/// A server error of a class that passes by itself (08, 40, 53, 55P03, 57P01..03, 25P03, ...), or a lost connection
/// (sqlstate "08006").
class TransientSqlError : public TransientError {
public:
    TransientSqlError(std::string sqlstate, ErrorParts parts);
    const std::string& sqlstate() const noexcept { return sqlstate_; }

private:
    std::string sqlstate_;
};

/// Rows of one statement. Text format. Views returned live as long as the Result.
class Result {
public:
    explicit Result(pg_result* result);
    ~Result();
    Result(Result&&) noexcept;
    Result& operator=(Result&&) noexcept;

    int rows() const;
    int columns() const;
    bool is_null(int row, int column) const;
    /// Text of a value; "" for NULL.
    std::string_view text(int row, int column) const;
    std::optional<std::string> optional_text(int row, int column) const;
    /// Throw std::logic_error when the value is NULL or no number: the caller wrote the query.
    std::int64_t integer(int row, int column) const;
    double real(int row, int column) const;
    bool boolean(int row, int column) const;
    Lsn lsn(int row, int column) const;
    /// Position of a column by name; throws std::logic_error when there is none.
    int column(std::string_view name) const;
    /// Rows that the statement touched (INSERT, UPDATE, DELETE, COPY).
    std::int64_t affected() const;

private:
    pg_result* result_;
};

/// A statement parameter: text or NULL, or binary with its type.
struct Parameter {
    std::optional<std::string_view> value;
    std::uint32_t type_oid = 0; ///< 0: the server infers it
    bool binary = false;

    Parameter(std::string_view text) : value(text) {}
    Parameter(const std::string& text) : value(text) {}
    Parameter(const char* text) : value(text) {}
    Parameter(std::nullopt_t) {}
    Parameter(const std::optional<std::string>& text) : value(text) {}
    Parameter(std::string_view bytes, std::uint32_t oid) : value(bytes), type_oid(oid), binary(true) {}
};

class Connection {
public:
    /// Connects (connect_timeout 5 s unless the conninfo says otherwise), sets application_name, keepalives, tcp_user_timeout,
    /// and the session to: client_encoding UTF8, DateStyle ISO, IntervalStyle postgres, TimeZone UTC,
    /// extra_float_digits 1, bytea_output hex, statement_timeout 0, search_path pg_catalog.
    /// Throws Error of kind unreachable (transient for the daemon: see reconnecting callers), naming host, port and cause.
    explicit Connection(ConnectionSettings settings);
    ~Connection();
    Connection(Connection&&) noexcept;
    Connection& operator=(Connection&&) noexcept;

    /// One statement, with parameters $1.. ; throws on error.
    Result query(const std::string& sql, std::initializer_list<Parameter> parameters = {});
    Result query(const std::string& sql, std::span<const Parameter> parameters);
    /// Several statements in one string, no parameters (simple protocol); the last result.
    Result script(const std::string& sql);
    /// Prepares once per connection under `name`, then runs.
    Result run_prepared(const std::string& name, const std::string& sql, std::span<const Parameter> parameters);

    /// COPY ... TO STDOUT: hands each chunk to `take` until the end. Returns rows copied. What `take` throws passes on,
    /// after the server's side was cancelled. When stop is requested all COPY functions end within a second with a
    /// TransientSqlError of 57014; a server that does not even answer then costs the connection.
    std::int64_t copy_out(const std::string& sql, const std::function<void(std::string_view)>& take,
                          std::stop_token stop = {});
    /// COPY ... FROM STDIN: begin, put chunks, end (returns rows) or abort.
    void copy_in_begin(const std::string& sql, std::stop_token stop = {});
    void copy_in_put(std::string_view bytes, std::stop_token stop = {});
    std::int64_t copy_in_end(std::stop_token stop = {});
    void copy_in_abort(const std::string& reason);

    /// Waits for a NOTIFY (LISTEN first) until the timeout or stop; payload of the first, nullopt when none came.
    std::optional<std::string> wait_notify(std::chrono::milliseconds timeout, std::stop_token stop);
    /// Cancels the running statement from another thread.
    void cancel() noexcept;
    /// Breaks the connection from another thread: whatever waits on it fails at once, also when the server is out of reach.
    void sever() noexcept;

    int server_version() const; ///< e.g. 150020
    int backend_pid() const;
    const std::string& name() const { return settings_.name; }
    const ConnectionSettings& settings() const { return settings_; }
    bool in_transaction() const;

    struct State; ///< libpq's side, known to core/pg alone

private:
    Result answer(bool sent, const std::string& sql);
    void wait_answer(const std::string& sql);

    ConnectionSettings settings_;
    std::unique_ptr<State> state_;
};

/// BEGIN in the constructor; ROLLBACK in the destructor unless commit() was called.
class Transaction {
public:
    enum class Isolation { read_committed, repeatable_read };
    explicit Transaction(Connection& connection, Isolation isolation = Isolation::read_committed);
    ~Transaction();
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    void commit();
    void rollback();

private:
    Connection& connection_;
    bool open_ = true;
};

/// Host, port and dbname of a conninfo as they will be told to clients (keyshift.placement, KS001 DETAIL, route).
struct Address {
    std::string host;
    int port = 5432;
    std::string dbname;
};
/// Throws ConfigurationError-kind Error when the conninfo does not parse or holds a password.
Address address_of(const std::string& conninfo);

} // namespace keyshift::pg
