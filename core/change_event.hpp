#pragma once
/// What travels beside the Debezium JSON in Kafka: the contract between cdc (writes) and projections (reads).
/// The formats are promises (docs/control-topic.md, docs/debezium.md): headers are ASCII, numbers decimal.

#include "core/ids.hpp"
#include "core/lsn.hpp"

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace keyshift {

inline constexpr std::string_view kHeaderOrigin = "keyshift.origin";
inline constexpr std::string_view kHeaderPosition = "keyshift.position";
inline constexpr std::string_view kHeaderAbsent = "keyshift.absent";
/// The JSON text in place of an unchanged TOAST value; real only together with kHeaderAbsent.
inline constexpr std::string_view kUnavailableValue = "__debezium_unavailable_value";

/// Place of an event in the history of its bucket. For one key, larger is newer.
struct SourcePosition {
    Epoch epoch{};
    Lsn commit_lsn;        ///< LSN of the transaction's commit record
    std::uint64_t seq = 0; ///< index of the change in its transaction, counted over all changes the server sent

    auto operator<=>(const SourcePosition&) const = default;
    /// "<epoch>/<commit_lsn>/<seq>" in decimal.
    std::string to_string() const;
    void append_to(std::string& out) const;
    static std::optional<SourcePosition> parse(std::string_view text);
};

/// Where an event was born: "<node>/<bucket>".
struct Origin {
    std::string node;
    BucketId bucket{};

    std::string to_string() const;
    static std::optional<Origin> parse(std::string_view text);
};

/// Columns that the WAL did not carry: "before=a,b;after=c", each name percent-encoded (%, ',', ';', '=', non-ASCII).
/// A part without columns is left out; with neither there is no header.
struct AbsentColumns {
    std::vector<std::string> before;
    std::vector<std::string> after;

    bool empty() const { return before.empty() && after.empty(); }
    std::string to_string() const;
    static std::optional<AbsentColumns> parse(std::string_view text);
};

/// `<prefix>.<schema>.<table>`; characters outside [A-Za-z0-9._-] become '_', as Debezium does.
std::string data_topic(std::string_view prefix, std::string_view schema, std::string_view table);
std::string control_topic(std::string_view prefix);
std::string dead_letter_topic(std::string_view prefix);
std::string heartbeat_topic(std::string_view prefix);
std::string message_topic(std::string_view prefix);
std::string transaction_topic(std::string_view prefix);

/// All events of `node` with a commit LSN below `lsn` are in Kafka, before these end offsets (topic -> per partition).
struct ProgressRecord {
    std::string node;
    std::uint32_t timeline = 0;
    Lsn lsn;
    std::map<std::string, std::map<std::int32_t, std::int64_t>> end_offsets;
};
struct SwitchRecord {
    std::string group;
    BucketId bucket{};
    Epoch epoch{};
    std::string from;
    std::string to;
};
struct TruncateRecord {
    std::string node;
    std::string table; ///< "schema.table" of the root
    BucketId bucket{};
    SourcePosition position;
};
struct SnapshotRecord {
    std::string node;
    std::string table;
    std::string phase; ///< "begin" or "end"
    Lsn lsn;
};
/// The stream of `node` begins at `to`, and its changes from `from` on are in no topic, or those that are were lost by the server.
struct GapRecord {
    std::string node;
    std::uint32_t timeline = 0; ///< from now on
    Lsn from;
    Lsn to;
};
using ControlRecord = std::variant<ProgressRecord, SwitchRecord, TruncateRecord, SnapshotRecord, GapRecord>;

/// One line of JSON with "type" first.
std::string to_json(const ControlRecord& record);
/// nullopt for anything that is not a control record of a known type.
std::optional<ControlRecord> parse_control_record(std::string_view json);

} // namespace keyshift
