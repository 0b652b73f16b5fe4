#include "cdc/source/placement_message.hpp"

#include "core/json.hpp"
#include "core/json_number.hpp"

namespace keyshift::cdc {

namespace {

using Json = nlohmann::json;

std::optional<OwnMessage> placement(const Json& json, PlacementMessage::Kind kind)
{
    const auto lsn = Lsn::parse(json.at("lsn").get<std::string>());
    const auto move = whole_number<std::int64_t>(json.at("move"));
    const auto bucket = whole_number<std::uint32_t>(json.at("bucket"));
    const auto epoch = whole_number<std::uint64_t>(json.at("epoch"));
    if (!lsn || !move || !bucket || !epoch) {
        return std::nullopt;
    }
    PlacementMessage message;
    message.kind = kind;
    message.move = *move;
    message.group = json.at("group").get<std::string>();
    message.bucket = BucketId{*bucket};
    message.epoch = Epoch{*epoch};
    message.token = json.at("token").get<std::string>();
    message.lsn = *lsn;
    return message;
}

} // namespace

std::optional<OwnMessage> parse_own_message(std::string_view content)
{
    try {
        const Json json = Json::parse(content);
        const std::string type = json.at("type").get<std::string>();
        if (type == "fence") {
            return placement(json, PlacementMessage::Kind::fence);
        }
        if (type == "open") {
            return placement(json, PlacementMessage::Kind::open);
        }
        if (type == "barrier") {
            const auto move = whole_number<std::int64_t>(json.at("move"));
            return move ? std::optional(BarrierMessage{*move, json.at("id").get<std::string>()}) : std::nullopt;
        }
        if (type == "snapshot_low" || type == "snapshot_high") {
            const auto mark = type == "snapshot_low" ? SnapshotMessage::Mark::low : SnapshotMessage::Mark::high;
            return SnapshotMessage{mark, json.at("id").get<std::string>()};
        }
        if (type == "heartbeat") {
            return HeartbeatMessage{};
        }
    } catch (const Json::exception&) {
        // Somebody else's text under our prefix: no message of ours.
    }
    return std::nullopt;
}

} // namespace keyshift::cdc
