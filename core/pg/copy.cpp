#include "core/pg/connection.hpp"
#include "core/pg/connection_state.hpp"

#include <poll.h>

#include <array>

namespace keyshift::pg {

namespace {

using namespace std::chrono_literals;

/// A stop request is noticed within this time,
constexpr std::chrono::milliseconds kSlice = 100ms;
/// and the server is given this time to answer a cancel request.
constexpr std::chrono::milliseconds kPatience = 700ms;

/// Waits on the socket of one COPY; cancels the server's side once stop is requested.
class StoppableWait {
public:
    StoppableWait(Connection& connection, Connection::State& state, std::stop_token stop)
        : connection_(connection), state_(state), stop_(std::move(stop))
    {
    }

    /// Waits until the socket is ready for `events` or a slice has passed; then reads what is there.
    void wait(short events)
    {
        PGconn* raw = state_.connection.get();
        pollfd socket{PQsocket(raw), events, 0};
        ::poll(&socket, 1, static_cast<int>(kSlice.count()));
        if ((socket.revents & (POLLIN | POLLHUP | POLLERR)) != 0 && PQconsumeInput(raw) == 0) {
            throw_error(raw, nullptr, connection_.name(), "COPY");
        }
        notice_stop();
    }

    /// True from the time that a stop request was noticed: the COPY is being cancelled.
    bool notice_stop()
    {
        if (stop_.stop_requested()) {
            stop();
        }
        return cancelled_at_.has_value();
    }

    [[noreturn]] void throw_stopped(const std::string& how) const
    {
        throw TransientSqlError(
            "57014", {"COPY on " + connection_.name(), how + " [57014]", "It goes on when its worker runs again."});
    }

private:
    void stop()
    {
        const auto now = std::chrono::steady_clock::now();
        if (!cancelled_at_) {
            cancelled_at_ = now;
            connection_.cancel();
        } else if (now - *cancelled_at_ > kPatience) {
            state_.connection.reset();
            throw_stopped("stopped; the server did not answer, so the connection was closed");
        }
    }

    Connection& connection_;
    Connection::State& state_;
    std::stop_token stop_;
    std::optional<std::chrono::steady_clock::time_point> cancelled_at_;
};

/// Reads and drops what is left of the running statement.
void drain(PGconn* connection)
{
    while (const PgResult rest{PQgetResult(connection)}) {
        if (PQresultStatus(rest.get()) == PGRES_COPY_IN) {
            PQputCopyEnd(connection, "given up");
        }
        char* buffer = nullptr;
        while (PQresultStatus(rest.get()) == PGRES_COPY_OUT && PQgetCopyData(connection, &buffer, 0) > 0) {
            PQfreemem(buffer);
        }
    }
}

/// Sends the COPY command and waits until the server is ready for data: a lock or a slow query may come before that.
void begin(PGconn* connection, StoppableWait& waiter, const std::string& name, const std::string& sql)
{
    if (PQsendQuery(connection, sql.c_str()) == 0) {
        throw_error(connection, nullptr, name, "COPY");
    }
    while (PQisBusy(connection) != 0) {
        waiter.wait(POLLIN);
    }
    PgResult ready(PQgetResult(connection));
    const ExecStatusType status = PQresultStatus(ready.get());
    if (status != PGRES_COPY_OUT && status != PGRES_COPY_IN) {
        drain(connection);
    }
    checked(connection, ready.release(), name, sql);
}

/// The final result of a COPY; throws when it failed.
Result finished(PGconn* connection, const std::string& name, const std::string& sql)
{
    PgResult raw(PQgetResult(connection));
    drain(connection);
    return Result(checked(connection, raw.release(), name, sql).release());
}

} // namespace

std::int64_t Connection::copy_out(const std::string& sql, const std::function<void(std::string_view)>& take,
                                  std::stop_token stop)
{
    PGconn* connection = state_->connection.get();
    StoppableWait waiter(*this, *state_, std::move(stop));
    begin(connection, waiter, settings_.name, sql);
    while (true) {
        char* buffer = nullptr;
        const int length = PQgetCopyData(connection, &buffer, 1);
        const Handle<char, &PQfreemem> chunk(buffer);
        if (length < 0) {
            break;
        }
        if (length == 0) {
            waiter.wait(POLLIN);
            continue;
        }
        if (waiter.notice_stop()) {
            continue; // It was sent before the server heard of the cancel request.
        }
        try {
            take({buffer, static_cast<std::size_t>(length)});
        } catch (...) {
            cancel();
            drain(connection);
            throw;
        }
    }
    const std::int64_t rows = finished(connection, settings_.name, sql).affected();
    if (waiter.notice_stop()) {
        waiter.throw_stopped("stopped");
    }
    return rows;
}

void Connection::copy_in_begin(const std::string& sql, std::stop_token stop)
{
    StoppableWait waiter(*this, *state_, std::move(stop));
    begin(state_->connection.get(), waiter, settings_.name, sql);
}

void Connection::copy_in_put(std::string_view bytes, std::stop_token stop)
{
    PGconn* connection = state_->connection.get();
    StoppableWait waiter(*this, *state_, std::move(stop));
    PQsetnonblocking(connection, 1);
    int state = PQputCopyData(connection, bytes.data(), static_cast<int>(bytes.size()));
    while (state == 0) {
        waiter.wait(POLLIN | POLLOUT);
        state = PQputCopyData(connection, bytes.data(), static_cast<int>(bytes.size()));
    }
    state = state < 0 ? -1 : PQflush(connection);
    while (state == 1) {
        waiter.wait(POLLIN | POLLOUT);
        state = PQflush(connection);
    }
    PQsetnonblocking(connection, 0);
    if (state < 0) {
        const PgResult result(PQgetResult(connection));
        throw_error(connection, result.get(), settings_.name, "COPY FROM STDIN");
    }
    if (waiter.notice_stop()) {
        copy_in_abort("stopped");
        waiter.throw_stopped("stopped");
    }
}

std::int64_t Connection::copy_in_end(std::stop_token stop)
{
    PGconn* connection = state_->connection.get();
    StoppableWait waiter(*this, *state_, std::move(stop));
    PQsetnonblocking(connection, 1);
    int put = PQputCopyEnd(connection, nullptr);
    while (put == 0) {
        waiter.wait(POLLIN | POLLOUT);
        put = PQputCopyEnd(connection, nullptr);
    }
    if (put < 0) {
        PQsetnonblocking(connection, 0);
        throw_error(connection, nullptr, settings_.name, "ending COPY FROM STDIN");
    }
    // Indexes and triggers may take their time after the last row.
    while (PQflush(connection) == 1 || PQisBusy(connection) != 0) {
        waiter.wait(POLLIN);
    }
    PQsetnonblocking(connection, 0);
    return finished(connection, settings_.name, "COPY FROM STDIN").affected();
}

void Connection::copy_in_abort(const std::string& reason)
{
    PGconn* connection = state_->connection.get();
    PQputCopyEnd(connection, reason.c_str());
    drain(connection);
}

} // namespace keyshift::pg
