#pragma once
/// Settings of change capture, as [cdc] and [kafka] of the configuration have them.

#include <chrono>
#include <cstddef>
#include <map>
#include <string>

namespace keyshift::cdc {

enum class DecimalMode { precise, string, real };
enum class TimeMode { adaptive, microseconds, connect, isostring };
enum class BinaryMode { bytes, base64, hex };
enum class IntervalMode { numeric, string };
enum class HstoreMode { json, map };
enum class UnknownTypes { omit, bytes };

/// Which of a value's JSON forms is written, where Debezium has several (docs/debezium.md). Its defaults.
struct ValueOptions {
    DecimalMode decimal = DecimalMode::precise;
    TimeMode time = TimeMode::adaptive;
    BinaryMode binary = BinaryMode::bytes;
    IntervalMode interval = IntervalMode::numeric;
    HstoreMode hstore = HstoreMode::json;
    /// Columns whose type has no form of its own: left out, or the bytes of their text in the form of `binary`.
    UnknownTypes unknown_types = UnknownTypes::omit;
};

struct CdcOptions {
    /// Topics are `<topic_prefix>.<schema>.<table>`; also Debezium's connector name in `source.name`.
    std::string topic_prefix;
    /// Of topics that Keyshift creates.
    int partitions = 8;
    int replication_factor = 1;
    /// How often an idle node's stream moves its slot on and writes a heartbeat.
    std::chrono::milliseconds heartbeat_interval{1000};
    ValueOptions values;
    /// A null-value record after each delete.
    bool tombstones = true;
    /// Emit `t` events for TRUNCATE.
    bool truncate = false;
    /// BEGIN and END records in `<topic_prefix>.transaction`, and each event's place in its transaction.
    bool transaction_metadata = false;
    /// The headers __debezium.context.*.
    bool extended_headers = true;
    /// JSON with {"schema":...,"payload":...}.
    bool schemas = false;
    /// The salt of hashed columns; empty: no column may be hashed.
    std::string hash_salt_file;
    /// Connections that read a node's existing rows into the topics at the same time.
    int snapshot_workers = 2;
    /// Of a node's open transactions together, and of each move's backlog: what is beyond waits in spool files.
    std::size_t max_transaction_memory = 64U << 20U;
    /// Where spool files go; they are unlinked as soon as they are open.
    std::string spool_directory = "/var/tmp";
    /// Bound of one node's producer queue. 16 MiB drains at the walsender's rate (docs/benchmarks.md).
    std::size_t producer_queue_bytes = 16U << 20U;
    /// librdkafka settings.
    std::map<std::string, std::string> kafka;
};

} // namespace keyshift::cdc
