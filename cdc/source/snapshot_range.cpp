#include "cdc/source/snapshot_range.hpp"

#include "core/json.hpp"

namespace keyshift::cdc {

namespace {

using Json = nlohmann::json;

Json json_of(const SnapshotRange& range)
{
    Json json = Json::object();
    if (range.partition) {
        json["partition"] = {range.partition->schema, range.partition->name};
    }
    if (range.places) {
        json["ctid"] = range.places->after;
        json["filenode"] = range.places->filenode;
        if (range.places->end) {
            json["end"] = *range.places->end;
        }
    }
    if (range.after) {
        json["after"] = *range.after;
    }
    if (range.upto) {
        json["upto"] = *range.upto;
    }
    if (!range.keys.empty()) {
        json["keys"] = range.keys;
    }
    return json;
}

SnapshotRange range_of(const Json& json)
{
    SnapshotRange range;
    if (json.contains("partition")) {
        range.partition = {json["partition"].at(0).get<std::string>(), json["partition"].at(1).get<std::string>()};
    }
    if (json.contains("ctid")) {
        range.places = {json["ctid"].get<std::string>(), std::nullopt, json["filenode"].get<std::uint32_t>()};
        if (json.contains("end")) {
            range.places->end = json["end"].get<std::uint32_t>();
        }
    }
    if (json.contains("after")) {
        range.after = json["after"].get<RowKey>();
    }
    if (json.contains("upto")) {
        range.upto = json["upto"].get<RowKey>();
    }
    if (json.contains("keys")) {
        range.keys = json["keys"].get<std::vector<RowKey>>();
    }
    return range;
}

} // namespace

std::string write_ranges(const std::vector<SnapshotRange>& ranges)
{
    Json json = Json::array();
    for (const SnapshotRange& range : ranges) {
        json.push_back(json_of(range));
    }
    return json.dump();
}

std::vector<SnapshotRange> read_ranges(std::string_view text)
{
    std::vector<SnapshotRange> ranges;
    for (const Json& json : Json::parse(text)) {
        ranges.push_back(range_of(json));
    }
    return ranges;
}

} // namespace keyshift::cdc
