#pragma once
/// Which transactions a copy's snapshot already holds: pg_current_snapshot() "xmin:xmax:xip,..." against the 32-bit xid of
/// a Begin message. Pure.

#include <cstdint>
#include <set>
#include <string_view>

namespace keyshift {

class SnapshotFilter {
public:
    SnapshotFilter() = default;
    /// Throws std::invalid_argument for anything that is not a pg_snapshot.
    explicit SnapshotFilter(std::string_view snapshot);

    /// The copy holds what this transaction did.
    bool holds(std::uint32_t xid) const;

private:
    std::uint64_t extend(std::uint32_t xid) const;

    std::uint64_t least_ = 0; ///< xmin: all below have ended
    std::uint64_t next_ = 0;  ///< xmax: this and all above had not ended; some may have begun, and be committed in the WAL
    std::set<std::uint64_t> running_;
};

} // namespace keyshift
