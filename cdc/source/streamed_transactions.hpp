#pragma once
/// Between the connection and whoever wants whole transactions. With streaming (pgoutput protocol 2 and up) PostgreSQL sends a
/// large transaction in pieces while it is open: between Stream Start and Stream Stop, each message with the xid of its
/// (sub)transaction; then Stream Commit or Stream Abort. Here the pieces wait, in memory or in a file, and at the commit
/// become exactly the messages that an unstreamed transaction would have been: Begin, changes, Commit. What was rolled back
/// is never seen. One thread; lives as long as the connection: a new one gets open transactions from their beginning.

#include "cdc/source/byte_reader.hpp"
#include "cdc/source/transaction_spool.hpp"
#include "core/pg/replication_connection.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace keyshift::cdc {

class StreamedTransactions {
public:
    struct Receiver {
        /// A message of protocol 1, in commit order.
        std::function<void(const pg::WalMessage&)> message;
        /// Everything that committed before this has been handed over (a transaction ended without anything of interest).
        std::function<void(Lsn)> nothing_until;
        /// Called now and then while a long transaction is handed over; may throw to give up.
        std::function<void()> pause;
    };
    /// `memory_limit`: of all open transactions together.
    StreamedTransactions(std::size_t memory_limit, std::string spool_directory, Receiver receiver)
        : memory_limit_(memory_limit), directory_(std::move(spool_directory)), receiver_(std::move(receiver))
    {
    }

    /// Throws FatalError for what is not pgoutput, TransientError when there is no room for a spool file.
    void handle(const pg::WalMessage& message);

    /// Between Stream Start and Stop.
    bool in_piece() const { return current_ != nullptr; }
    std::size_t open() const { return spools_.size(); }
    std::uint64_t memory_bytes() const;
    std::uint64_t file_bytes() const;

private:
    void start(ByteReader& reader);
    void commit(ByteReader& reader, const pg::WalMessage& message);
    void abort(ByteReader& reader);
    void keep(ByteReader& reader, const pg::WalMessage& message, char kind);
    void make_room(std::size_t bytes);
    void hand_over(const TransactionSpool& spool, std::uint32_t xid, std::string_view end,
                   const pg::WalMessage& message);

    const std::size_t memory_limit_;
    const std::string directory_;
    const Receiver receiver_;
    std::map<std::uint32_t, TransactionSpool> spools_; ///< by top-level xid
    TransactionSpool* current_ = nullptr;
    std::uint64_t memory_ = 0; ///< of all spools
};

} // namespace keyshift::cdc
