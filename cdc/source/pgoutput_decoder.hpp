#pragma once
/// pgoutput, protocol version 1, values as text or binary (PostgreSQL docs: "Logical Replication Message Formats").
/// Each transaction comes whole after its commit: Begin, changes, Commit. What decode() returns is valid until the next
/// call and as long as the bytes live. Numbers the changes of a transaction (SourcePosition::seq): every change the server
/// sends counts, so a replay of the same WAL gives the same numbers.

#include "cdc/source/byte_reader.hpp"
#include "cdc/source/change.hpp"

#include <functional>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

namespace keyshift::cdc {

/// One TRUNCATE statement; each relation counts as one change, the first has number `first_seq`.
struct Truncation {
    std::vector<std::shared_ptr<const Relation>> relations;
    Lsn lsn;
    std::uint64_t first_seq = 0;
};
/// A message that says nothing of rows: Type, Origin.
struct Nothing {};

using Decoded =
    std::variant<Nothing, Begin, Commit, const Change*, std::shared_ptr<const Relation>, Truncation, LogicalMessage>;

class PgoutputDecoder {
public:
    /// Makes texts of a change's binary values; without it these are no pgoutput.
    using Translate = std::function<void(Change&)>;
    explicit PgoutputDecoder(Translate translate = {}) : translate_(std::move(translate)) {}

    /// Throws FatalError naming the LSN for anything that is not pgoutput.
    Decoded decode(Lsn lsn, std::string_view message);

private:
    Decoded begin(ByteReader& reader);
    Decoded relation(ByteReader& reader);
    Decoded change(ByteReader& reader, ChangeKind kind);
    Decoded truncation(ByteReader& reader);
    void read_old(ByteReader& reader, char marker);
    void read_new(ByteReader& reader);
    void read_tuple(ByteReader& reader, Tuple& tuple);
    void recycle();
    const std::shared_ptr<const Relation>& known(std::uint32_t oid, const ByteReader& reader);

    const Translate translate_;
    bool binary_ = false; ///< a value of the present change is
    std::unordered_map<std::uint32_t, std::shared_ptr<const Relation>> relations_;
    /// One change, whose tuples keep their memory from change to change.
    Change change_;
    Tuple spare_before_;
    Tuple spare_after_;
    std::uint64_t next_seq_ = 0;
};

} // namespace keyshift::cdc
