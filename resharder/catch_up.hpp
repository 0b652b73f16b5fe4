#pragma once
/// Applies the donor's stream to the copy: a chain of batches, each of which continues exactly from the stored position
/// in its own transaction on the recipient (corner 8). One thread.

#include "core/lsn.hpp"
#include "core/snapshot_filter.hpp"
#include "resharder/move_context.hpp"
#include "resharder/touched_keys.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace keyshift::resharder {

class CatchUp {
public:
    /// Uses context.subscription, or subscribes again from what the recipient holds.
    explicit CatchUp(MoveContext& context);
    ~CatchUp();
    CatchUp(const CatchUp&) = delete;
    CatchUp& operator=(const CatchUp&) = delete;
    /// Up to where the recipient holds the donor's changes. Throws FatalError when it has recorded nothing.
    static Lsn position(MoveContext& context);

    /// Applies what has come, at most one batch; waits up to `wait` for the first item. False: nothing had come.
    bool pump(std::chrono::milliseconds wait, std::stop_token stop);
    /// Applies until everything the donor had committed when called is on the recipient.
    void catch_up(std::stop_token stop);
    struct Barrier {
        Lsn lsn;
        Lsn must_be_recorded; ///< before a fence may follow
    };
    /// Applies until the barrier has come by; nullopt: it did not until the deadline.
    std::optional<Barrier> reach_barrier(const std::string& id, std::chrono::steady_clock::time_point deadline,
                                         std::stop_token stop);
    /// Emits a barrier on the donor and returns its id.
    std::string emit_barrier();

    /// Durably on the recipient.
    Lsn applied() const { return applied_; }
    /// Changes applied from now on are added there as well; nullptr: no longer.
    void collect(TouchedKeys* touched) { touched_ = touched; }

private:
    struct Batch {
        std::vector<cdc::OwnedTransaction> transactions;
        std::size_t changes = 0;
        Lsn end;
    };
    void take(cdc::SubscriptionItem item, Batch& batch);
    void apply(const Batch& batch);
    void apply_in_statements_of(const Batch& batch, std::size_t rows);
    void advance_when_idle(Lsn received);
    void report();

    MoveContext& context_;
    pg::Connection control_; ///< on the donor: barriers and its position, beside a session that holds the lock
    SnapshotFilter snapshot_;
    Lsn applied_;
    cdc::BarrierSeen barrier_; ///< the last one that came by
    Lsn last_change_;          ///< end of the last transaction with changes of the bucket
    TouchedKeys* touched_ = nullptr;
    std::uint64_t barriers_ = 0;
    std::chrono::steady_clock::time_point reported_{};
};

} // namespace keyshift::resharder
