#pragma once
/// How a slot's changes are asked for, and what is tried when PostgreSQL itself fails to decode them that way. One thread.
///
///   streamed: large transactions come while they are open
///      |  ^
///      |  '-- with the connection after one that ended otherwise
///      v decoding failed
///   whole: every transaction comes after its commit; PostgreSQL keeps or spills it until then
///      |  |
///      |  v failed again, for a row whose text is beyond the server's limits
///      |  binary: whole, and values in binary, which takes about half of what text takes for a bytea
///      |  |  '-- streamed again once that transaction is confirmed
///      v  v failed again: at once for a row that is beyond the limits in binary too, else several times at the same transaction
///   the stream stops

#include "catalog/catalog.hpp"
#include "core/error.hpp"
#include "core/lsn.hpp"
#include "core/pg/replication_connection.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace keyshift::cdc {

class ReadingMode {
public:
    enum class Way { streamed, whole, binary };

    /// A connection begins; everything below `position` has been handed over.
    void begin(Lsn position);
    Way way() const { return way_; }
    /// The best that this version of the server has for the present way.
    pg::PgoutputOptions options(int server_version) const;

    /// True for a SQLSTATE that stands for a failure of the decoding itself: an internal error, or a value beyond a limit.
    static bool is_failure(std::string_view sqlstate);
    /// The server failed with everything below `position` handed over. What to do next, for the message; throws FatalError
    /// when there is nothing left to try.
    std::string failed(const catalog::Node& node, Lsn position, const ErrorParts& error);
    /// A transaction that ends here was handed over.
    void committed(Lsn end);
    /// What made this connection read in binary is behind the slot's `confirmed` position: a new one need not.
    bool is_over(Lsn confirmed) const { return way_ == Way::binary && passed_ && confirmed >= *passed_; }

private:
    [[noreturn]] static void give_up(const catalog::Node& node, const std::string& where, const ErrorParts& error);

    Way way_ = Way::streamed;
    bool failed_ = false; ///< the last connection ended so
    Lsn began_;
    int failures_ = 0;          ///< in the present way, without getting any further
    Lsn stuck_;                 ///< way binary: the transaction that text cannot carry is the next to commit behind it
    std::optional<Lsn> passed_; ///< its end, once it was handed over
};

} // namespace keyshift::cdc
