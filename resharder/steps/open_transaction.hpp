#pragma once
/// The transaction that makes a bucket writable on its recipient. INV-MOV-1: its COMMIT is sent only after the fence is
/// durable and recorded, however early the rest was done.

#include "resharder/move_context.hpp"

namespace keyshift::resharder {

/// All of it but the COMMIT, by a session inside a transaction, when nothing is applied any more.
Lsn write_open(MoveContext& context, pg::Connection& node);

/// The same in two parts and a session of its own, so that of the write block it takes the COMMIT alone. From finish() on
/// whoever writes to the bucket on the recipient waits for that instead of being refused. Undone by destruction, and by the
/// server when this daemon stops in it. One thread at a time.
class OpenAhead {
public:
    /// `limit`: the longest that the session may do nothing.
    OpenAhead(MoveContext& context, std::chrono::milliseconds limit);

    /// What needs no lock on the leaves: ownership, placement. Once.
    void begin();
    /// The rest, once the recipient has applied the barrier. Throws FatalError when it has not.
    void finish(Lsn barrier);
    /// Where the bucket was opened.
    Lsn commit();

private:
    MoveContext& context_;
    pg::Connection session_;
    std::optional<pg::Transaction> transaction_;
    std::string triggers_;
    Lsn opened_;
};

} // namespace keyshift::resharder
