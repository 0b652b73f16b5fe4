#pragma once
/// A settling move whose donor keeps its frozen copy current: what the recipient's stream has handed over and the copy lacks.
/// One thread.

#include "cdc/source/subscription.hpp"
#include "resharder/bucket_move.hpp"

#include <memory>
#include <optional>
#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

namespace keyshift::resharder {

class FollowedMove {
public:
    /// `tables` as the donor has them; `applied`: the copy has every commit of the recipient below it.
    FollowedMove(BucketMove move, std::vector<MoveTable> tables, Lsn applied);

    const BucketMove& move() const { return move_; }
    const std::vector<MoveTable>& tables() const { return tables_; }
    Lsn applied() const { return applied_; }
    /// Every change below it has been gathered.
    Lsn reached() const { return reached_; }
    std::span<const cdc::OwnedTransaction> pending() const { return pending_; }
    std::size_t pending_bytes() const { return bytes_; }
    bool full() const;

    bool listens() const { return subscription_ != nullptr; }
    /// One that begins behind what was gathered is of no use, and is dropped.
    void listen(std::unique_ptr<cdc::Subscription> subscription);
    void stop_listening() { subscription_.reset(); }
    /// Takes what has come, at most a batch. Throws TransientError when the stream broke; why the copy cannot follow any
    /// longer, nullopt when it can.
    std::optional<std::string> gather(std::stop_token stop);
    /// The copy has every commit below `position` by now.
    void applied_up_to(Lsn position);

private:
    std::optional<std::string> objection(const cdc::OwnedTransaction& transaction);

    BucketMove move_;
    std::vector<MoveTable> tables_;
    Lsn applied_;
    Lsn reached_;
    std::unique_ptr<cdc::Subscription> subscription_;
    std::vector<cdc::OwnedTransaction> pending_;           ///< in commit order
    std::size_t changes_ = 0;                              ///< of pending_
    std::size_t bytes_ = 0;                                ///< of pending_
    std::set<std::shared_ptr<const cdc::Relation>> alike_; ///< have the columns of the copy
};

} // namespace keyshift::resharder
