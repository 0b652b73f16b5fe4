#include "cdc/source/pgoutput_decoder.hpp"

#include <limits>

namespace keyshift::cdc {

namespace {

// PostgreSQL counts microseconds from 2000-01-01, this long after the Unix epoch.
constexpr std::int64_t kPostgresEpochMicroseconds = 946'684'800LL * 1'000'000;
// A record has a commit's time in nanoseconds too (ts_ns): 64 bits hold those of the years 1678 to 2261.
constexpr std::int64_t kMostMicroseconds = std::numeric_limits<std::int64_t>::max() / 1000;

Decoded commit(ByteReader& reader)
{
    reader.u8(); // flags: none are defined
    const Lsn commit_lsn = reader.lsn();
    const Lsn end_lsn = reader.lsn();
    reader.u64();
    return Commit{commit_lsn, end_lsn};
}

Decoded logical_message(ByteReader& reader)
{
    LogicalMessage message;
    message.transactional = (reader.u8() & 1U) != 0;
    message.lsn = reader.lsn();
    message.prefix = reader.zero_terminated();
    message.content = reader.bytes(reader.u32());
    return message;
}

} // namespace

Decoded PgoutputDecoder::decode(Lsn lsn, std::string_view message)
{
    ByteReader reader(message, lsn);
    switch (reader.u8()) {
    case 'B':
        return begin(reader);
    case 'C':
        return commit(reader);
    case 'I':
        return change(reader, ChangeKind::insert);
    case 'U':
        return change(reader, ChangeKind::update);
    case 'D':
        return change(reader, ChangeKind::remove);
    case 'R':
        return relation(reader);
    case 'T':
        return truncation(reader);
    case 'M':
        return logical_message(reader);
    case 'Y':
        reader.u32();
        reader.zero_terminated();
        reader.zero_terminated();
        return Nothing{};
    case 'O':
        reader.lsn();
        reader.zero_terminated();
        return Nothing{};
    default:
        reader.fail("unknown kind of message");
    }
}

Decoded PgoutputDecoder::begin(ByteReader& reader)
{
    next_seq_ = 0;
    Begin begin;
    begin.commit_lsn = reader.lsn();
    const auto since_2000 = static_cast<std::int64_t>(reader.u64());
    if (since_2000 < -kMostMicroseconds - kPostgresEpochMicroseconds ||
        since_2000 > kMostMicroseconds - kPostgresEpochMicroseconds) {
        reader.fail("its commit time is not in the years 1678 to 2261");
    }
    begin.commit_time_us = since_2000 + kPostgresEpochMicroseconds;
    begin.xid = reader.u32();
    return begin;
}

Decoded PgoutputDecoder::relation(ByteReader& reader)
{
    auto relation = std::make_shared<Relation>();
    relation->oid = reader.u32();
    relation->name.schema = reader.zero_terminated();
    relation->name.name = reader.zero_terminated();
    if (relation->name.schema.empty()) {
        relation->name.schema = "pg_catalog"; // how pgoutput writes it
    }
    relation->identity = static_cast<char>(reader.u8());
    const std::uint16_t columns = reader.u16();
    relation->columns.reserve(columns);
    for (std::uint16_t i = 0; i < columns; ++i) {
        RelationColumn column;
        column.identity = (reader.u8() & 1U) != 0;
        column.name = reader.zero_terminated();
        column.type_oid = reader.u32();
        column.type_modifier = static_cast<std::int32_t>(reader.u32());
        relation->columns.push_back(std::move(column));
    }
    relations_[relation->oid] = relation;
    return std::shared_ptr<const Relation>(std::move(relation));
}

Decoded PgoutputDecoder::change(ByteReader& reader, ChangeKind kind)
{
    recycle();
    const auto& relation = known(reader.u32(), reader);
    if (change_.relation != relation) {
        change_.relation = relation;
    }
    change_.kind = kind;
    change_.lsn = reader.position();
    change_.old_is_key = false;
    char marker = static_cast<char>(reader.u8());
    if (kind != ChangeKind::insert && marker != 'N') {
        read_old(reader, marker);
        marker = kind == ChangeKind::update ? static_cast<char>(reader.u8()) : '\0';
    }
    if (kind == ChangeKind::remove) {
        if (!change_.before) {
            reader.fail("a delete without old row");
        }
    } else {
        if (marker != 'N') {
            reader.fail("a change without new row");
        }
        read_new(reader);
    }
    change_.seq = next_seq_++;
    if (binary_) {
        binary_ = false;
        translate_(change_);
    }
    return &change_;
}

Decoded PgoutputDecoder::truncation(ByteReader& reader)
{
    Truncation truncation;
    truncation.lsn = reader.position();
    truncation.first_seq = next_seq_;
    const std::uint32_t count = reader.u32();
    reader.u8(); // options: CASCADE, RESTART IDENTITY
    for (std::uint32_t i = 0; i < count; ++i) {
        truncation.relations.push_back(known(reader.u32(), reader));
    }
    next_seq_ += count;
    return truncation;
}

void PgoutputDecoder::read_old(ByteReader& reader, char marker)
{
    if (marker != 'K' && marker != 'O') {
        reader.fail("unknown kind of old row");
    }
    change_.old_is_key = marker == 'K';
    change_.before = std::move(spare_before_);
    read_tuple(reader, *change_.before);
}

void PgoutputDecoder::read_new(ByteReader& reader)
{
    change_.after = std::move(spare_after_);
    read_tuple(reader, *change_.after);
}

void PgoutputDecoder::read_tuple(ByteReader& reader, Tuple& tuple)
{
    const std::uint16_t columns = reader.u16();
    if (columns != change_.relation->columns.size()) {
        reader.fail("a row with another number of columns than its relation");
    }
    tuple.resize(columns);
    for (Datum& datum : tuple) {
        switch (reader.u8()) {
        case 'n':
            datum = {Datum::Kind::null, {}};
            break;
        case 'u':
            datum = {Datum::Kind::unchanged_toast, {}};
            break;
        case 't':
            datum = {Datum::Kind::text, reader.bytes(reader.u32())};
            break;
        case 'b':
            if (!translate_) {
                reader.fail("a value that is not text");
            }
            datum = {Datum::Kind::binary, reader.bytes(reader.u32())};
            binary_ = true;
            break;
        default:
            reader.fail("a value of an unknown kind");
        }
    }
}

void PgoutputDecoder::recycle()
{
    if (change_.before) {
        spare_before_ = std::move(*change_.before);
        change_.before.reset();
    }
    if (change_.after) {
        spare_after_ = std::move(*change_.after);
        change_.after.reset();
    }
}

const std::shared_ptr<const Relation>& PgoutputDecoder::known(std::uint32_t oid, const ByteReader& reader)
{
    const auto found = relations_.find(oid);
    if (found == relations_.end()) {
        reader.fail("a change of a relation that was not announced");
    }
    return found->second;
}

} // namespace keyshift::cdc
