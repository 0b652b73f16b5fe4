#include "daemon/config_keys.hpp"

#include "core/nearest_name.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <regex>
#include <set>
#include <utility>

namespace keyshift::daemon {

namespace {

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};
constexpr std::array kTimes{Unit{"ms", 1}, Unit{"s", 1000}, Unit{"min", 60'000}, Unit{"h", 3'600'000},
                            Unit{"d", 86'400'000}};
constexpr std::array kSizes{Unit{"", 1}, Unit{"B", 1}, Unit{"KiB", 1U << 10U}, Unit{"MiB", 1U << 20U},
                            Unit{"GiB", 1U << 30U}};

template <std::size_t Count>
std::optional<std::uint64_t> with_unit(const std::string& text, const std::array<Unit, Count>& units)
{
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{}) {
        return std::nullopt;
    }
    const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
    for (const Unit& known : units) {
        if (known.name == unit && number <= UINT64_MAX / known.factor) {
            return number * known.factor;
        }
    }
    return std::nullopt;
}

std::string shown_duration(std::chrono::milliseconds time)
{
    for (const auto& [name, factor] : {kTimes[2], kTimes[1]}) {
        if (time.count() != 0 && static_cast<std::uint64_t>(time.count()) % factor == 0) {
            return fmt::format("{}{}", static_cast<std::uint64_t>(time.count()) / factor, name);
        }
    }
    return fmt::format("{}ms", time.count());
}

std::string shown_size(std::uint64_t bytes)
{
    for (const auto& [name, factor] : {kSizes[4], kSizes[3], kSizes[2]}) {
        if (bytes != 0 && bytes % factor == 0) {
            return fmt::format("{}{}", bytes / factor, name);
        }
    }
    return std::to_string(bytes);
}

/// A key whose value is the member that `member` gives.
template <typename Member>
ConfigKey text_key(std::string name, std::string description, Member member, std::set<std::string> allowed = {})
{
    ConfigKey key{std::move(name), KeyKind::text, std::move(description), true, {}, {}};
    key.read = [member, allowed](Config& config, const std::string& text) -> std::optional<std::string> {
        if (text.find('\0') != std::string::npos) {
            return "it has a NUL character, at which most readers would cut it";
        }
        if (!allowed.empty() && !allowed.contains(text)) {
            std::string list;
            for (const std::string& one : allowed) {
                list += (list.empty() ? "" : ", ") + one;
            }
            return "\"" + text + "\" is none of " + list;
        }
        member(config) = text;
        return std::nullopt;
    };
    key.show = [member](const Config& config) {
        return member(const_cast<Config&>(config));
    };
    return key;
}

template <typename Member>
ConfigKey integer_key(std::string name, std::string description, long least, long most, Member member)
{
    ConfigKey key{std::move(name), KeyKind::integer, std::move(description), true, {}, {}};
    key.read = [member, least, most](Config& config, const std::string& text) -> std::optional<std::string> {
        long value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc{} || end != text.data() + text.size() || value < least || value > most) {
            return fmt::format("\"{}\" is no whole number from {} to {}", text, least, most);
        }
        member(config) = static_cast<std::remove_reference_t<decltype(member(config))>>(value);
        return std::nullopt;
    };
    key.show = [member](const Config& config) {
        return fmt::format("{}", member(const_cast<Config&>(config)));
    };
    return key;
}

template <typename Member>
ConfigKey boolean_key(std::string name, std::string description, Member member)
{
    ConfigKey key{std::move(name), KeyKind::boolean, std::move(description), true, {}, {}};
    key.read = [member](Config& config, const std::string& text) -> std::optional<std::string> {
        if (text != "true" && text != "false") {
            return "\"" + text + "\" is neither true nor false";
        }
        member(config) = text == "true";
        return std::nullopt;
    };
    key.show = [member](const Config& config) {
        return member(const_cast<Config&>(config)) ? "true" : "false";
    };
    return key;
}

template <typename Member>
ConfigKey duration_key(std::string name, std::string description, Member member)
{
    ConfigKey key{std::move(name), KeyKind::duration, std::move(description), true, {}, {}};
    key.read = [member](Config& config, const std::string& text) -> std::optional<std::string> {
        const auto time = parse_duration(text);
        if (!time) {
            return "\"" + text + "\" is no duration such as \"500ms\", \"1s\" or \"10min\"";
        }
        member(config) = *time;
        return std::nullopt;
    };
    key.show = [member](const Config& config) {
        return shown_duration(member(const_cast<Config&>(config)));
    };
    return key;
}

template <typename Member>
ConfigKey size_key(std::string name, std::string description, Member member)
{
    ConfigKey key{std::move(name), KeyKind::size, std::move(description), true, {}, {}};
    key.read = [member](Config& config, const std::string& text) -> std::optional<std::string> {
        const auto bytes = parse_size(text);
        if (!bytes) {
            return "\"" + text + "\" is no size such as \"64MiB\" or \"1GiB\"";
        }
        member(config) = *bytes;
        return std::nullopt;
    };
    key.show = [member](const Config& config) {
        return shown_size(member(const_cast<Config&>(config)));
    };
    return key;
}

/// A key whose value is one of a few words, each for a value of an enum.
template <typename Enum, std::size_t Count, typename Member>
ConfigKey choice_key(std::string name, std::string description,
                     std::array<std::pair<std::string_view, Enum>, Count> choices, Member member)
{
    ConfigKey key{std::move(name), KeyKind::text, std::move(description), true, {}, {}};
    key.read = [choices, member](Config& config, const std::string& text) -> std::optional<std::string> {
        std::string list;
        for (const auto& [word, value] : choices) {
            if (word == text) {
                member(config) = value;
                return std::nullopt;
            }
            list += (list.empty() ? "" : ", ") + std::string(word);
        }
        return "\"" + text + "\" is none of " + list;
    };
    key.show = [choices, member](const Config& config) -> std::string {
        const auto found =
            std::ranges::find(choices, member(const_cast<Config&>(config)), &std::pair<std::string_view, Enum>::second);
        return std::string(found->first);
    };
    return key;
}

template <typename Enum, std::size_t Count>
using Choices = std::array<std::pair<std::string_view, Enum>, Count>;

/// How values are written where Debezium has several forms.
std::vector<ConfigKey> value_keys()
{
    using namespace cdc;
    return {
        choice_key(
            "cdc.decimal", "How numeric is written: precise (base64 of the unscaled value), string or double.",
            Choices<DecimalMode, 3>{
                {{"precise", DecimalMode::precise}, {"string", DecimalMode::string}, {"double", DecimalMode::real}}},
            [](Config & c) -> auto& { return c.cdc.values.decimal; }),
        choice_key(
            "cdc.time", "How date, time and timestamp are written: adaptive, microseconds, connect or isostring.",
            Choices<TimeMode, 4>{{{"adaptive", TimeMode::adaptive},
                                  {"microseconds", TimeMode::microseconds},
                                  {"connect", TimeMode::connect},
                                  {"isostring", TimeMode::isostring}}},
            [](Config & c) -> auto& { return c.cdc.values.time; }),
        choice_key(
            "cdc.binary", "How bytea is written: bytes (base64), base64 (a string to schemas) or hex.",
            Choices<BinaryMode, 3>{
                {{"bytes", BinaryMode::bytes}, {"base64", BinaryMode::base64}, {"hex", BinaryMode::hex}}},
            [](Config & c) -> auto& { return c.cdc.values.binary; }),
        choice_key(
            "cdc.interval", "How interval is written: numeric (microseconds) or string (ISO 8601).",
            Choices<IntervalMode, 2>{{{"numeric", IntervalMode::numeric}, {"string", IntervalMode::string}}},
            [](Config & c) -> auto& { return c.cdc.values.interval; }),
        choice_key(
            "cdc.hstore", "How hstore is written: json (a string) or map (an object).",
            Choices<HstoreMode, 2>{{{"json", HstoreMode::json}, {"map", HstoreMode::map}}},
            [](Config & c) -> auto& { return c.cdc.values.hstore; }),
        choice_key(
            "cdc.unknown_types",
            "Columns of a type without a form of its own: omit, or bytes (of their text, as cdc.binary says).",
            Choices<UnknownTypes, 2>{{{"omit", UnknownTypes::omit}, {"bytes", UnknownTypes::bytes}}},
            [](Config & c) -> auto& { return c.cdc.values.unknown_types; })};
}

/// The conninfo, without any password that someone put there (it is refused, but must not be printed either).
ConfigKey dsn_key()
{
    ConfigKey key = text_key(
        "catalog.dsn", "libpq conninfo or URI of the catalog database, without password.",
        [](Config & c) -> auto& { return c.catalog_dsn; });
    key.show = [](const Config& config) -> std::string {
        static const std::regex kWord("(password\\s*=\\s*)('(?:[^'\\\\]|\\\\.)*'|[^\\s&]+)", std::regex::icase);
        static const std::regex kUri("(://[^:/@]*:)[^@]*@");
        return std::regex_replace(std::regex_replace(config.catalog_dsn, kWord, "$1***"), kUri, "$1***@");
    };
    return key;
}

std::vector<ConfigKey> all_keys()
{
    std::vector<ConfigKey> keys{
        dsn_key(),
        text_key(
            "catalog.password_file",
            "File with the catalog's password; read at each connect, refused when others can read it.",
            [](Config & c) -> auto& { return c.catalog_password_file; }),
        text_key(
            "catalog.cluster", "Part of slot and publication names; empty: the topic prefix.",
            [](Config & c) -> auto& { return c.cluster; }),
        text_key(
            "cdc.topic_prefix", "Topics are <prefix>.<schema>.<table>; also Debezium's connector name.",
            [](Config & c) -> auto& { return c.cdc.topic_prefix; }),
        integer_key(
            "cdc.partitions", "Partitions of topics that Keyshift creates.", 1, 10'000,
            [](Config & c) -> auto& { return c.cdc.partitions; }),
        integer_key(
            "cdc.replication_factor", "Replication factor of topics that Keyshift creates.", 1, 100,
            [](Config & c) -> auto& { return c.cdc.replication_factor; }),
        duration_key(
            "cdc.heartbeat_interval", "How often an idle node's slot is moved on.",
            [](Config & c) -> auto& { return c.cdc.heartbeat_interval; }),
        boolean_key(
            "cdc.tombstones", "A record without value after each delete.",
            [](Config & c) -> auto& { return c.cdc.tombstones; }),
        boolean_key(
            "cdc.truncate", "Emit op t for TRUNCATE.", [](Config & c) -> auto& { return c.cdc.truncate; }),
        boolean_key(
            "cdc.transaction_metadata",
            "BEGIN and END records in <prefix>.transaction, and each event's place in its transaction.",
            [](Config & c) -> auto& { return c.cdc.transaction_metadata; }),
        boolean_key(
            "cdc.extended_headers", "The headers __debezium.context.*.",
            [](Config & c) -> auto& { return c.cdc.extended_headers; }),
        boolean_key(
            "cdc.schemas", "JSON with {\"schema\":...,\"payload\":...}.",
            [](Config & c) -> auto& { return c.cdc.schemas; }),
        text_key(
            "cdc.hash_salt_file",
            "File with the salt of hashed columns; read when a stream starts, refused when others can read it.",
            [](Config & c) -> auto& { return c.cdc.hash_salt_file; }),
        integer_key(
            "cdc.snapshot_workers", "Connections that read a node's existing rows at the same time.", 1, 64,
            [](Config & c) -> auto& { return c.cdc.snapshot_workers; }),
        size_key(
            "cdc.max_transaction_memory",
            "Beyond it a node's open transactions, and a move's backlog, wait in spool files.",
            [](Config & c) -> auto& { return c.cdc.max_transaction_memory; }),
        text_key(
            "cdc.spool_directory", "Where spool files go; they are unlinked as soon as they are open.",
            [](Config & c) -> auto& { return c.cdc.spool_directory; }),
        size_key(
            "cdc.producer_queue", "Bound of one node's producer queue.",
            [](Config & c) -> auto& { return c.cdc.producer_queue_bytes; }),
        integer_key(
            "reshard.max_moves_per_node", "Moves that one node takes part in at a time.", 1, 64,
            [](Config & c) -> auto& { return c.reshard.max_moves_per_node; }),
        integer_key(
            "reshard.max_moves", "Moves at a time, on all nodes together; 0: as many as the nodes may have.", 0, 1024,
            [](Config & c) -> auto& { return c.reshard.max_moves; }),
        integer_key(
            "reshard.copy_workers", "Tables of a bucket group copied at the same time.", 1, 64,
            [](Config & c) -> auto& { return c.reshard.copy_workers; }),
        size_key(
            "reshard.max_copy_rate", "Bytes a second that a copy may move; 0: no limit.",
            [](Config & c) -> auto& { return c.reshard.max_copy_rate; }),
        size_key(
            "reshard.max_replica_lag", "Bytes that a standby of a node may be behind before moves there wait; 0: any.",
            [](Config & c) -> auto& { return c.reshard.max_replica_lag; }),
        size_key(
            "reshard.max_wal_rate", "Bytes of WAL a second of a node, whoever writes it, that moves keep to; 0: any.",
            [](Config & c) -> auto& { return c.reshard.max_wal_rate; }),
        size_key(
            "reshard.max_retained_wal", "Bytes of WAL that a node's slot may keep before moves there wait; 0: any.",
            [](Config & c) -> auto& { return c.reshard.max_retained_wal; }),
        duration_key(
            "reshard.write_block_limit", "Past it the switch backs out and tries again.",
            [](Config & c) -> auto& { return c.reshard.write_block_limit; }),
        duration_key(
            "reshard.hold_paused",
            "How long a paused copy keeps its snapshot and goes on where it was; later it is begun again.",
            [](Config & c) -> auto& { return c.reshard.hold_paused; }),
        duration_key(
            "reshard.step_aside", "A move that waits in one step for longer holds up no other.",
            [](Config & c) -> auto& { return c.reshard.step_aside; }),
        duration_key(
            "reshard.grace",
            "How long the donor keeps the frozen bucket for readers with old maps, and current for a rollback.",
            [](Config & c) -> auto& { return c.reshard.grace; }),
        integer_key(
            "projection.batch_rows", "Events that one write to a projection takes at most.", 1, 100'000,
            [](Config & c) -> auto& { return c.projection.batch_rows; }),
        duration_key(
            "projection.batch_delay", "How long a write waits for more events.",
            [](Config & c) -> auto& { return c.projection.batch_delay; }),
        integer_key(
            "projection.workers", "Sessions that write the rows that were there before a projection.", 1, 64,
            [](Config & c) -> auto& { return c.projection.workers; }),
        integer_key(
            "projection.max_backfill_rate", "Rows a second that the backfill of a projection may read; 0: no limit.", 0,
            1'000'000'000, [](Config & c) -> auto& { return c.projection.max_backfill_rate; }),
        integer_key(
            "projection.max_rejections", "Events that a projection could not use with which it pauses.", 1, 1'000'000,
            [](Config & c) -> auto& { return c.projection.max_rejections; }),
        text_key(
            "http.listen", "Address and port of metrics, probes, status and route; read-only.",
            [](Config & c) -> auto& { return c.http_listen; }),
        text_key("log.level", "debug, info, warning or error.", [](Config & c) -> auto& { return c.log_level; },
                 {"debug", "info", "warning", "error"}),
        text_key("log.format", "text or json; empty: text on a terminal, else json.",
                 [](Config & c) -> auto& { return c.log_format; }, {"", "text", "json"})};
    const auto after = std::ranges::find(keys, "cdc.heartbeat_interval", &ConfigKey::name) + 1;
    const std::vector<ConfigKey> values = value_keys();
    keys.insert(after, values.begin(), values.end());
    for (ConfigKey& key : keys) {
        key.needs_restart = !key.name.starts_with("log.") && !key.name.starts_with("reshard.");
    }
    return keys;
}

} // namespace

const std::vector<ConfigKey>& config_keys()
{
    static const std::vector<ConfigKey> keys = all_keys();
    return keys;
}

const ConfigKey* find_key(const std::string& name)
{
    const auto& keys = config_keys();
    const auto found = std::find_if(keys.begin(), keys.end(), [&](const ConfigKey& key) { return key.name == name; });
    return found == keys.end() ? nullptr : &*found;
}

std::string nearest_key(const std::string& name)
{
    std::vector<std::string> names;
    for (const ConfigKey& key : config_keys()) {
        names.push_back(key.name);
    }
    return nearest_name(name, names);
}

std::optional<std::chrono::milliseconds> parse_duration(const std::string& text)
{
    const auto value = with_unit(text, kTimes);
    return value ? std::optional(std::chrono::milliseconds(*value)) : std::nullopt;
}

std::optional<std::uint64_t> parse_size(const std::string& text)
{
    return with_unit(text, kSizes);
}

} // namespace keyshift::daemon
