#include "core/pg/replication_connection.hpp"

#include "core/names.hpp"
#include "core/pg/session.hpp"

#include <fmt/core.h>

#include <array>
#include <charconv>
#include <chrono>
#include <poll.h>
#include <sstream>

namespace keyshift::pg {

namespace {

// PostgreSQL counts microseconds from 2000-01-01, this many seconds after the Unix epoch.
constexpr std::int64_t kPostgresEpochSeconds = 946'684'800;

std::uint64_t read_be64(const char* bytes)
{
    std::uint64_t value = 0;
    for (int i = 0; i < 8; ++i) {
        value = (value << 8U) | static_cast<unsigned char>(bytes[i]);
    }
    return value;
}

void put_be64(char* bytes, std::uint64_t value)
{
    for (int i = 7; i >= 0; --i) {
        bytes[i] = static_cast<char>(value & 0xFFU);
        value >>= 8U;
    }
}

std::int64_t postgres_now()
{
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::microseconds>(now).count() - kPostgresEpochSeconds * 1'000'000;
}

} // namespace

struct ReplicationConnection::State {
    ConnectionSettings settings;
    PgConnection connection;
    Handle<char, &PQfreemem> buffer; ///< of the last message: its payload is lent to the caller
};

ReplicationConnection::ReplicationConnection(ConnectionSettings settings) : state_(std::make_unique<State>())
{
    state_->connection = open_session(settings, true);
    state_->settings = std::move(settings);
}

ReplicationConnection::~ReplicationConnection() = default;
ReplicationConnection::ReplicationConnection(ReplicationConnection&&) noexcept = default;

int ReplicationConnection::backend_pid() const
{
    return PQbackendPID(state_->connection.get());
}

ReplicationConnection::SystemIdentity ReplicationConnection::identify()
{
    PGconn* connection = state_->connection.get();
    PgResult raw(PQexec(connection, "IDENTIFY_SYSTEM"));
    if (PQresultStatus(raw.get()) != PGRES_TUPLES_OK) {
        throw_error(connection, raw.get(), state_->settings.name, "IDENTIFY_SYSTEM");
    }
    const Result result(raw.release());
    return {std::string(result.text(0, 0)), static_cast<std::uint32_t>(result.integer(0, 1)), result.lsn(0, 2)};
}

std::map<std::uint32_t, Lsn> ReplicationConnection::ancestors(std::uint32_t present)
{
    std::map<std::uint32_t, Lsn> ancestors;
    if (present == 1) {
        return ancestors; // it has no history, and the server no file of it
    }
    PGconn* connection = state_->connection.get();
    const std::string command = fmt::format("TIMELINE_HISTORY {}", present);
    PgResult raw(PQexec(connection, command.c_str()));
    if (PQresultStatus(raw.get()) != PGRES_TUPLES_OK) {
        throw_error(connection, raw.get(), state_->settings.name, command);
    }
    const Result result(raw.release());
    // A line for each ancestor: its number, where it was left, and why.
    std::istringstream lines{std::string(result.text(0, 1))};
    std::string line;
    while (std::getline(lines, line)) {
        std::istringstream words(line);
        std::uint32_t number = 0;
        std::string lsn;
        if (words >> number >> lsn) {
            if (const std::optional<Lsn> left = Lsn::parse(lsn)) {
                ancestors[number] = *left;
            }
        }
    }
    return ancestors;
}

int ReplicationConnection::server_version() const
{
    return PQserverVersion(state_->connection.get());
}

void ReplicationConnection::start(const std::string& slot, const std::string& publication, Lsn from,
                                  const PgoutputOptions& options)
{
    PGconn* connection = state_->connection.get();
    const std::string command = fmt::format(
        "START_REPLICATION SLOT {} LOGICAL {} (proto_version '{}', publication_names {}, messages 'true', streaming '{}', "
        "binary '{}')",
        quote_identifier(slot), from.to_string(), options.protocol, quote_literal(quote_identifier(publication)),
        options.streaming, options.binary);
    const PgResult result(PQexec(connection, command.c_str()));
    if (PQresultStatus(result.get()) != PGRES_COPY_BOTH) {
        throw_error(connection, result.get(), state_->settings.name, "starting replication from slot " + slot);
    }
    PQsetnonblocking(connection, 1);
}

ReplicationConnection::Received ReplicationConnection::try_receive()
{
    constexpr int kWalHeader = 25;       // 'w', start, end, send time
    constexpr int kKeepaliveLength = 18; // 'k', end, send time, reply requested
    PGconn* connection = state_->connection.get();
    char* bytes = nullptr;
    int length = PQgetCopyData(connection, &bytes, 1);
    if (length == 0) {
        if (PQconsumeInput(connection) == 0) {
            throw_error(connection, nullptr, state_->settings.name, "receiving the change stream");
        }
        length = PQgetCopyData(connection, &bytes, 1);
    }
    state_->buffer.reset(bytes);
    if (length == 0) {
        return {};
    }
    if (length < 0) {
        const PgResult result(PQgetResult(connection));
        const ExecStatusType status = PQresultStatus(result.get());
        if (length == -1 && (status == PGRES_COMMAND_OK || status == PGRES_COPY_IN)) {
            throw TransientSqlError("57P01", {"receiving the change stream of " + state_->settings.name,
                                              "the server ended it (it is shutting down)",
                                              "It is tried again when the server answers."});
        }
        throw_error(connection, result.get(), state_->settings.name, "receiving the change stream");
    }
    if (bytes[0] == 'w' && length >= kWalHeader) {
        return {WalMessage{{read_be64(bytes + 1)},
                           {read_be64(bytes + 9)},
                           {bytes + kWalHeader, static_cast<std::size_t>(length - kWalHeader)}},
                {}};
    }
    if (bytes[0] == 'k' && length >= kKeepaliveLength) {
        return {{}, Keepalive{{read_be64(bytes + 1)}, bytes[17] != 0}};
    }
    throw FatalError({"receiving the change stream of " + state_->settings.name,
                      fmt::format("unknown message '{}' of {} bytes", bytes[0], length),
                      "Check that the server is PostgreSQL 15 to 18."});
}

bool ReplicationConnection::wait_readable(std::chrono::milliseconds timeout, int wake_fd)
{
    PGconn* connection = state_->connection.get();
    // Output that did not go out yet (a status update) waits for the socket to be writable.
    const bool pending = PQflush(connection) == 1;
    std::array<pollfd, 2> fds{pollfd{PQsocket(connection), static_cast<short>(POLLIN | (pending ? POLLOUT : 0)), 0},
                              pollfd{wake_fd, POLLIN, 0}};
    ::poll(fds.data(), wake_fd < 0 ? 1 : 2, static_cast<int>(timeout.count()));
    return (fds[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0;
}

void ReplicationConnection::send_status(Lsn received, Lsn flushed, bool reply_requested)
{
    std::array<char, 34> message{};
    message[0] = 'r';
    put_be64(&message[1], received.value);
    put_be64(&message[9], flushed.value);
    put_be64(&message[17], flushed.value);
    put_be64(&message[25], static_cast<std::uint64_t>(postgres_now()));
    message[33] = reply_requested ? 1 : 0;
    PGconn* connection = state_->connection.get();
    if (PQputCopyData(connection, message.data(), message.size()) < 0 || PQflush(connection) < 0) {
        throw_error(connection, nullptr, state_->settings.name, "confirming a position");
    }
}

void ReplicationConnection::finish() noexcept
{
    PGconn* connection = state_->connection.get();
    PQsetnonblocking(connection, 0);
    PQputCopyEnd(connection, nullptr);
    PQflush(connection);
    state_->connection.reset();
}

} // namespace keyshift::pg
