#include "core/pg/connection.hpp"

#include "core/pg/connection_state.hpp"

#include <fmt/core.h>

#include <charconv>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>

namespace keyshift::pg {

SqlError::SqlError(std::string sqlstate, ErrorParts parts)
    : FatalError(std::move(parts)), sqlstate_(std::move(sqlstate))
{
}

TransientSqlError::TransientSqlError(std::string sqlstate, ErrorParts parts)
    : TransientError(std::move(parts)), sqlstate_(std::move(sqlstate))
{
}

namespace {

/// The first words of a statement, for messages: never its values.
std::string summary(const std::string& sql)
{
    std::string words =
        sql.substr(sql.find_first_not_of(" \n\t") == std::string::npos ? 0 : sql.find_first_not_of(" \n\t"), 80);
    for (char& letter : words) {
        letter = letter == '\n' ? ' ' : letter;
    }
    return words.substr(0, words.find('\''));
}

struct RawParameters {
    std::vector<const char*> values;
    std::vector<int> lengths;
    std::vector<int> formats;
    std::vector<Oid> types;
    std::vector<std::string> texts; ///< libpq wants text parameters zero-terminated

    explicit RawParameters(std::span<const Parameter> parameters)
    {
        texts.reserve(parameters.size());
        for (const Parameter& parameter : parameters) {
            const char* value = nullptr;
            if (parameter.value) {
                // A null pointer would be NULL, also for empty bytes.
                const char* bytes = parameter.value->data() == nullptr ? "" : parameter.value->data();
                value = parameter.binary ? bytes : texts.emplace_back(*parameter.value).c_str();
            }
            values.push_back(value);
            lengths.push_back(parameter.value ? static_cast<int>(parameter.value->size()) : 0);
            formats.push_back(parameter.binary ? 1 : 0);
            types.push_back(parameter.type_oid);
        }
    }
};

} // namespace

PgResult checked(PGconn* connection, PGresult* raw, const std::string& name, const std::string& sql)
{
    PgResult result(raw);
    const ExecStatusType status = PQresultStatus(raw);
    if (raw == nullptr || status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE ||
        status == PGRES_NONFATAL_ERROR) {
        throw_error(connection, raw, name, summary(sql));
    }
    return result;
}

Connection::Connection(ConnectionSettings settings)
    : settings_(std::move(settings)), state_(std::make_unique<State>(State{open_session(settings_, false), {}, {}}))
{
    const auto note = [](void* ended_by, const PGresult* notice) {
        const char* state = PQresultErrorField(notice, PG_DIAG_SQLSTATE);
        if (state != nullptr && std::string_view(state).starts_with("57P")) {
            *static_cast<std::string*>(ended_by) = state;
        }
    };
    PQsetNoticeReceiver(state_->connection.get(), note, &state_->ended_by);
}

Connection::~Connection() = default;
Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;

Result Connection::query(const std::string& sql, std::initializer_list<Parameter> parameters)
{
    return query(sql, std::span(parameters.begin(), parameters.size()));
}

namespace {

bool copies(const PGresult* result)
{
    const ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
}

} // namespace

/// The last result of what was sent, as PQexec returns it.
Result Connection::answer(bool sent, const std::string& sql)
{
    PGconn* connection = state_->connection.get();
    if (!sent) {
        throw_error(connection, nullptr, settings_.name, summary(sql), state_->ended_by);
    }
    PgResult last;
    do {
        wait_answer(sql);
        PgResult next(PQgetResult(connection));
        if (!next) {
            break;
        }
        last = std::move(next);
    } while (PQstatus(connection) == CONNECTION_OK && !copies(last.get()));
    return Result(checked(connection, last.release(), settings_.name, sql).release());
}

void Connection::wait_answer(const std::string& sql)
{
    PGconn* connection = state_->connection.get();
    const auto end = std::chrono::steady_clock::now() + settings_.answer_limit;
    // Without a limit it is PQgetResult that waits.
    while (settings_.answer_limit.count() > 0 && PQisBusy(connection) != 0) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
        if (left.count() <= 0) {
            // An answer may still be on its way: never to be taken for that of the next statement. libpq learns of the end
            // by reading it.
            sever();
            PQconsumeInput(connection);
            throw TransientSqlError(
                "08006", {fmt::format("{} on {}", summary(sql), settings_.name),
                          fmt::format("the server has not answered for {} s; the connection is still open [08006]",
                                      std::chrono::duration_cast<std::chrono::seconds>(settings_.answer_limit).count()),
                          "It is tried again on a new connection. See whether host or network between are down."});
        }
        pollfd socket{PQsocket(connection), POLLIN, 0};
        ::poll(&socket, 1, static_cast<int>(left.count()));
        if (PQconsumeInput(connection) == 0) {
            return;
        }
    }
}

Result Connection::query(const std::string& sql, std::span<const Parameter> parameters)
{
    const RawParameters raw(parameters);
    const int sent = PQsendQueryParams(state_->connection.get(), sql.c_str(), static_cast<int>(raw.values.size()),
                                       raw.types.data(), raw.values.data(), raw.lengths.data(), raw.formats.data(), 0);
    return answer(sent == 1, sql);
}

Result Connection::script(const std::string& sql)
{
    return answer(PQsendQuery(state_->connection.get(), sql.c_str()) == 1, sql);
}

Result Connection::run_prepared(const std::string& name, const std::string& sql, std::span<const Parameter> parameters)
{
    const RawParameters raw(parameters);
    PGconn* connection = state_->connection.get();
    if (!state_->prepared.contains(name)) {
        answer(PQsendPrepare(connection, name.c_str(), sql.c_str(), static_cast<int>(raw.types.size()),
                             raw.types.data()) == 1,
               sql);
        state_->prepared.insert(name);
    }
    return answer(PQsendQueryPrepared(connection, name.c_str(), static_cast<int>(raw.values.size()), raw.values.data(),
                                      raw.lengths.data(), raw.formats.data(), 0) == 1,
                  sql);
}

std::optional<std::string> Connection::wait_notify(std::chrono::milliseconds timeout, std::stop_token stop)
{
    // Stop is noticed within this time.
    constexpr std::chrono::milliseconds kSlice{100};
    PGconn* connection = state_->connection.get();
    const auto end = std::chrono::steady_clock::now() + timeout;
    while (true) {
        if (PQconsumeInput(connection) == 0) {
            throw_error(connection, nullptr, settings_.name, "waiting for a notification", state_->ended_by);
        }
        if (const Handle<PGnotify, &PQfreemem> notify{PQnotifies(connection)}) {
            return std::string(notify->extra);
        }
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
        if (left.count() <= 0 || stop.stop_requested()) {
            return std::nullopt;
        }
        pollfd socket{PQsocket(connection), POLLIN, 0};
        ::poll(&socket, 1, static_cast<int>(std::min(left, kSlice).count()));
    }
}

void Connection::cancel() noexcept
{
    const Handle<PGcancel, &PQfreeCancel> handle(PQgetCancel(state_->connection.get()));
    char error[256] = {};
    if (handle) {
        PQcancel(handle.get(), error, sizeof error);
    }
}

void Connection::sever() noexcept
{
    ::shutdown(PQsocket(state_->connection.get()), SHUT_RDWR);
}

int Connection::server_version() const
{
    return PQserverVersion(state_->connection.get());
}

int Connection::backend_pid() const
{
    return PQbackendPID(state_->connection.get());
}

bool Connection::in_transaction() const
{
    const PGTransactionStatusType status = PQtransactionStatus(state_->connection.get());
    return status == PQTRANS_INTRANS || status == PQTRANS_INERROR || status == PQTRANS_ACTIVE;
}

Transaction::Transaction(Connection& connection, Isolation isolation) : connection_(connection)
{
    connection_.script(isolation == Isolation::repeatable_read ? "BEGIN ISOLATION LEVEL REPEATABLE READ" : "BEGIN");
}

Transaction::~Transaction()
{
    if (open_) {
        try {
            connection_.script("ROLLBACK");
        } catch (const Error&) {
            // The connection is gone, and the transaction with it.
        }
    }
}

void Transaction::commit()
{
    open_ = false;
    const Result result = connection_.script("COMMIT");
}

void Transaction::rollback()
{
    open_ = false;
    connection_.script("ROLLBACK");
}

Address address_of(const std::string& conninfo)
{
    char* message = nullptr;
    const Handle<PQconninfoOption, &PQconninfoFree> options(PQconninfoParse(conninfo.c_str(), &message));
    const Handle<char, &PQfreemem> reason(message);
    if (!options) {
        std::string why = reason ? reason.get() : "out of memory";
        while (why.ends_with('\n')) {
            why.pop_back();
        }
        // libpq quotes the word it stumbled over, which may be part of a password.
        if (conninfo.find("password") != std::string::npos || conninfo.find('@') != std::string::npos) {
            why = "it is no libpq connection string (and it seems to hold a password, so it is not shown)";
        }
        throw Error(
            ErrorKind::configuration,
            {"reading a dsn", why, "Write it as 'host=... port=... dbname=...' or postgresql://host:port/dbname."});
    }
    Address address;
    for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
        const std::string_view keyword = option->keyword;
        if (option->val == nullptr || *option->val == '\0') {
            continue;
        }
        if (keyword == "password" || keyword == "sslpassword") {
            throw Error(ErrorKind::refused,
                        {"reading a dsn", "it holds a password, which would end up in a catalog row",
                         "Leave it out and use --password-file, a passfile or a service."});
        }
        if (keyword == "host") {
            address.host = option->val;
        } else if (keyword == "hostaddr" && address.host.empty()) {
            address.host = option->val;
        } else if (keyword == "port") {
            const std::string_view text = option->val;
            std::from_chars(text.data(), text.data() + text.size(), address.port);
        } else if (keyword == "dbname") {
            address.dbname = option->val;
        }
    }
    return address;
}

} // namespace keyshift::pg
