#pragma once
/// Rows that got another key while existing rows of their table are being read. Such a row may move from keys that are still
/// to be read to keys that have been read: no chunk finds it, and its event lacks what is stored out of line and did not
/// change. So these rows are read again by their new key, and until that is saved the slot keeps their events.
///
///   note (stream) -> take, with a chunk that is published -> ranges of the part, saved -> release
///
/// Any thread.

#include "cdc/source/snapshot_range.hpp"
#include "core/ids.hpp"
#include "core/lsn.hpp"
#include "core/names.hpp"

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace keyshift::cdc {

class MovedRows {
public:
    /// To be read again.
    struct Taken {
        std::vector<RowKey> keys;
        bool all = false; ///< too many to remember: the whole part is read again
    };

    /// `commit`: of the transaction that did it.
    void note(const QualifiedName& root, BucketId bucket, RowKey from, RowKey to, Lsn commit);
    /// For the chunk `id` that is published. `only_of`: not empty: those that had one of these keys.
    Taken take(const QualifiedName& root, BucketId bucket, const std::vector<RowKey>& only_of, const std::string& id);
    /// What this chunk took is saved, or wanted no more.
    void release(const std::string& id);
    /// Whatever was taken and not released may be taken again: whoever had it has given up.
    void give_back();
    /// Existing rows of these tables alone are being read: of others nothing is needed, also where whoever took it was told
    /// to stop before it could release it.
    void keep_only(const std::set<QualifiedName>& roots);
    /// The oldest commit whose rows may still be needed: the slot keeps it.
    std::optional<Lsn> hold() const;

private:
    struct Move {
        RowKey from;
        RowKey to;
        Lsn commit;
    };
    using Part = std::pair<QualifiedName, BucketId>;
    struct Moves {
        std::vector<Move> moves;
        std::optional<Lsn> all_since; ///< more than can be remembered

        std::optional<Lsn> oldest() const;
        void forget_above_limit();
    };

    mutable std::mutex mutex_;
    std::map<Part, Moves> noted_;                         ///< guarded by mutex_
    std::map<std::string, std::pair<Part, Moves>> taken_; ///< guarded by mutex_; by chunk
};

} // namespace keyshift::cdc
