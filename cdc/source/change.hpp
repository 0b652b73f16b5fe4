#pragma once
/// What one node's WAL says, decoded from pgoutput (PostgreSQL docs: "Logical Replication Message Formats").

#include "core/ids.hpp"
#include "core/lsn.hpp"
#include "core/names.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace keyshift::cdc {

struct RelationColumn {
    std::string name;
    std::uint32_t type_oid = 0;
    std::int32_t type_modifier = -1;
    bool identity = false; ///< part of the replica identity
};

/// A leaf (or plain table) as the WAL position sees it. Immutable once announced; a change of schema is a new object.
struct Relation {
    std::uint32_t oid = 0;
    QualifiedName name;  ///< of the leaf
    char identity = 'd'; ///< d default, n nothing, f full, i index
    std::vector<RelationColumn> columns;
};

/// One value of a tuple.
struct Datum {
    /// `binary` is seen by BinaryText only, which makes `text` of it.
    enum class Kind : std::uint8_t { null, unchanged_toast, text, binary };
    Kind kind = Kind::null;
    std::string_view text; ///< PostgreSQL's output format; valid as long as the message it came from
};
using Tuple = std::vector<Datum>;

enum class ChangeKind : std::uint8_t { insert, update, remove, truncate };

/// One row change. `old_key`: only identity columns are set (others null); `old_row`: the whole old row (identity full).
struct Change {
    ChangeKind kind = ChangeKind::insert;
    std::shared_ptr<const Relation> relation;
    bool old_is_key = false; ///< `before` holds only the identity columns
    std::optional<Tuple> before;
    std::optional<Tuple> after;
    Lsn lsn;               ///< of the message
    std::uint64_t seq = 0; ///< index in its transaction
};

struct Begin {
    Lsn commit_lsn;                  ///< LSN of the commit record
    std::int64_t commit_time_us = 0; ///< microseconds since the Unix epoch
    std::uint32_t xid = 0;
};
struct Commit {
    Lsn commit_lsn;
    Lsn end_lsn;
};
/// pg_logical_emit_message. Transactional ones come between Begin and Commit.
struct LogicalMessage {
    bool transactional = false;
    Lsn lsn;
    std::string_view prefix;
    std::string_view content;
};

} // namespace keyshift::cdc
