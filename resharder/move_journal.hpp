#pragma once
/// The move's row in the catalog: every state is written here before it is acted upon, by compare-and-set on state and
/// owner epoch, so a daemon that lost the move changes nothing (corner 5). One thread.

#include "core/error.hpp"
#include "core/pg/connection.hpp"
#include "resharder/bucket_move.hpp"

#include <functional>
#include <optional>
#include <string>

namespace keyshift::resharder {

class MoveJournal {
public:
    /// Reads the row and raises its owner epoch: from here on older owners are refused.
    MoveJournal(pg::Connection& catalog, std::int64_t move);

    const BucketMove& move() const { return move_; }

    /// One legal step; `before` and `together` run in the same transaction, on either side of it. Failpoints move.<to>.persisting, .committing and
    /// .persisted.
    /// Throws TransientError when another owner has taken the move.
    void step(MoveState to, const std::function<void(pg::Connection&)>& together = {},
              const std::function<void(pg::Connection&)>& before = {});

    void record_copy(const std::string& snapshot, Lsn position);
    /// nullopt: the copy that was to be taken over is of no use.
    void record_adopted(std::optional<Lsn> position);
    /// Never above what the recipient has durably applied: the slot is held from here after a restart.
    void record_position(Lsn position, std::int64_t lag_bytes);
    struct Progress {
        std::int64_t rows = 0;
        std::int64_t bytes = 0;
        double rows_per_second = 0;
        double bytes_per_second = 0;
    };
    void record_progress(const Progress& progress);
    void record_fence_try();
    void record_hashes(const std::string& donor, const std::string& recipient, bool equal);
    void record_error(const ErrorParts& error);
    /// What `reshard explain` shows; nullopt: nothing. Written only when it changes.
    void waiting_for(const std::optional<std::string>& what);

private:
    void update(const std::string& assignments, std::initializer_list<pg::Parameter> parameters);

    pg::Connection& catalog_;
    BucketMove move_;
    std::optional<std::string> waiting_;
};

/// Columns of keyshift.move in the order that read_move() expects.
extern const char* const kMoveColumns;
BucketMove read_move(const pg::Result& rows, int row);
/// {"what","why","next"} as keyshift.job.error and keyshift.move.error hold it.
std::string error_json(const ErrorParts& error);

} // namespace keyshift::resharder
