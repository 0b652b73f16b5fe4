#pragma once
/// The streaming half of logical replication: a walsender connection in COPY BOTH mode.
/// PostgreSQL docs: "Streaming Replication Protocol", "Logical Streaming Replication Protocol". One thread.

#include "core/lsn.hpp"
#include "core/pg/connection.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace keyshift::pg {

/// One XLogData message. `payload` is valid until the next call on the connection.
struct WalMessage {
    Lsn start;      ///< WAL position of the data (Debezium's source.lsn)
    Lsn server_end; ///< the server's current end of WAL
    std::string_view payload;
};
/// A keepalive: the server's end of WAL, and whether it wants an answer now.
struct Keepalive {
    Lsn server_end;
    bool reply_requested = false;
};

/// How pgoutput is asked to write. PostgreSQL docs: "Logical Streaming Replication Parameters".
struct PgoutputOptions {
    int protocol = 1;
    std::string_view streaming = "off"; ///< of open transactions: off, on (protocol 2), parallel (protocol 4)
    bool binary = false;                ///< values in the types' binary format where they have one
};

class ReplicationConnection {
public:
    explicit ReplicationConnection(ConnectionSettings settings);
    ~ReplicationConnection();
    ReplicationConnection(ReplicationConnection&&) noexcept;

    struct SystemIdentity {
        std::string system_identifier;
        std::uint32_t timeline = 0;
        Lsn flushed;
    };
    SystemIdentity identify();
    /// Where timeline `present`, the server's, left each of its ancestors. Not while a stream runs.
    std::map<std::uint32_t, Lsn> ancestors(std::uint32_t present);
    int server_version() const; ///< e.g. 150020
    /// pgoutput with logical messages. Throws TransientSqlError 55006 while another reader has the slot.
    void start(const std::string& slot, const std::string& publication, Lsn from, const PgoutputOptions& options = {});

    struct Received {
        std::optional<WalMessage> message;
        std::optional<Keepalive> keepalive;
    };
    /// The next message if one is there without waiting for the network; both empty: nothing now.
    Received try_receive();
    /// Waits until the socket is readable, `wake_fd` is readable (-1: none), or the timeout. True: the socket has data.
    bool wait_readable(std::chrono::milliseconds timeout, int wake_fd = -1);
    /// Standby status update. `flushed` is what PostgreSQL may forget (INV-CDC-1).
    void send_status(Lsn received, Lsn flushed, bool reply_requested = false);
    /// Process of the walsender.
    int backend_pid() const;
    /// Ends COPY BOTH; used on shutdown after the last status.
    void finish() noexcept;

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace keyshift::pg
