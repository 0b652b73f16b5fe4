#include "cdc/source/placement_message.hpp"

#include <nlohmann/json.hpp>

namespace keyshift::cdc {

namespace {

using Json = nlohmann::json;

std::optional<OwnMessage> placement(const Json& json, PlacementMessage::Kind kind)
{
    const std::optional<Lsn> lsn = Lsn::parse(json.at("lsn").get<std::string>());
    if (!lsn) {
        return std::nullopt;
    }
    PlacementMessage message;
    message.kind = kind;
    message.move = json.at("move").get<std::int64_t>();
    message.group = json.at("group").get<std::string>();
    message.bucket = static_cast<BucketId>(json.at("bucket").get<std::uint32_t>());
    message.epoch = static_cast<Epoch>(json.at("epoch").get<std::uint64_t>());
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
            return BarrierMessage{json.at("move").get<std::int64_t>(), json.at("id").get<std::string>()};
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
