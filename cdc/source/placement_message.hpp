#pragma once
/// Keyshift's own logical messages in a node's WAL: prefix "keyshift", content JSON. Any role may emit one, so a fence or
/// open means something only once its move, token and epoch agree with the catalog.

#include "core/ids.hpp"
#include "core/lsn.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace keyshift::cdc {

inline constexpr std::string_view kMessagePrefix = "keyshift";

/// A bucket's writes end (fence, on the donor) or begin (open, on the recipient).
struct PlacementMessage {
    enum class Kind { fence, open };
    Kind kind = Kind::fence;
    std::int64_t move = 0;
    std::string group;
    BucketId bucket{};
    Epoch epoch{}; ///< the one that the move gives: the recipient's
    std::string token;
    Lsn lsn; ///< first position after the donor's last write; first position of the recipient's writes

    bool operator==(const PlacementMessage&) const = default;
};
struct BarrierMessage {
    std::int64_t move = 0;
    std::string id;
};
struct SnapshotMessage {
    enum class Mark { low, high };
    Mark mark = Mark::low;
    std::string id;
};
struct HeartbeatMessage {};

using OwnMessage = std::variant<PlacementMessage, BarrierMessage, SnapshotMessage, HeartbeatMessage>;

/// nullopt: not JSON of one of these forms.
std::optional<OwnMessage> parse_own_message(std::string_view content);

} // namespace keyshift::cdc
