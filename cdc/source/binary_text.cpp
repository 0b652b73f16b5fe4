#include "cdc/source/binary_text.hpp"

#include "cdc/source/reading_mode.hpp"

#include <fmt/core.h>

#include <array>
#include <cstring>
#include <optional>
#include <vector>

namespace keyshift::cdc {

namespace {

// Built into PostgreSQL; they never change (src/include/catalog/pg_type.dat).
constexpr std::uint32_t kBool = 16;
constexpr std::uint32_t kBytea = 17;
constexpr std::uint32_t kName = 19;
constexpr std::uint32_t kInt8 = 20;
constexpr std::uint32_t kInt2 = 21;
constexpr std::uint32_t kInt4 = 23;
constexpr std::uint32_t kText = 25;
constexpr std::uint32_t kJson = 114;
constexpr std::uint32_t kBpchar = 1042;
constexpr std::uint32_t kVarchar = 1043;
constexpr std::uint32_t kUuid = 2950;

constexpr std::string_view kDigits = "0123456789abcdef";

char* put_hex(char* out, std::string_view bytes)
{
    for (const char byte : bytes) {
        *out++ = kDigits[static_cast<unsigned char>(byte) >> 4U];
        *out++ = kDigits[static_cast<unsigned char>(byte) & 0xFU];
    }
    return out;
}

std::string hex_text(std::string_view bytes)
{
    std::string text(2 + 2 * bytes.size(), '\0');
    text[0] = '\\';
    text[1] = 'x';
    put_hex(text.data() + 2, bytes);
    return text;
}

std::string uuid_text(std::string_view bytes)
{
    constexpr std::array<std::size_t, 5> kGroups{4, 2, 2, 2, 6};
    std::string text(36, '-');
    char* out = text.data();
    for (const std::size_t group : kGroups) {
        out = put_hex(out, bytes.substr(0, group)) + 1;
        bytes.remove_prefix(group);
    }
    return text;
}

std::string integer_text(std::string_view bytes)
{
    // Sign and all: what is shifted out at the end of 64 bits is what the first byte brings in.
    auto value = static_cast<std::int64_t>(static_cast<signed char>(bytes.front()));
    for (const char byte : bytes.substr(1)) {
        value = static_cast<std::int64_t>(static_cast<std::uint64_t>(value) << 8U | static_cast<unsigned char>(byte));
    }
    return std::to_string(value);
}

/// nullopt: not one of the types that are written here, or not in the format that it has since PostgreSQL 7.4.
std::optional<std::string> own_text(std::uint32_t oid, std::string_view bytes)
{
    const std::size_t size = bytes.size();
    if (oid == kBytea) {
        return hex_text(bytes);
    }
    if ((oid == kInt2 && size == 2) || (oid == kInt4 && size == 4) || (oid == kInt8 && size == 8)) {
        return integer_text(bytes);
    }
    if (oid == kBool && size == 1) {
        return bytes.front() != 0 ? "t" : "f";
    }
    if (oid == kUuid && size == 16) {
        return uuid_text(bytes);
    }
    return std::nullopt;
}

bool is_same(std::uint32_t oid, std::string_view kind)
{
    return kind == "e" || oid == kText || oid == kVarchar || oid == kBpchar || oid == kName || oid == kJson;
}

} // namespace

void BinaryText::translate(Change& change)
{
    texts_.clear();
    for (std::optional<Tuple>* row : {&change.before, &change.after}) {
        if (*row) {
            translate(*change.relation, **row);
        }
    }
}

void BinaryText::translate(const Relation& relation, Tuple& tuple)
{
    std::vector<std::size_t> others;
    for (std::size_t column = 0; column < tuple.size(); ++column) {
        Datum& datum = tuple[column];
        if (datum.kind != Datum::Kind::binary) {
            continue;
        }
        const Type& known = type(relation.columns[column].type_oid);
        if (known.same) {
            datum.kind = Datum::Kind::text;
        } else if (std::optional<std::string> text = own_text(known.oid, datum.text)) {
            datum = {Datum::Kind::text, texts_.emplace_back(std::move(*text))};
        } else {
            others.push_back(column);
        }
    }
    if (!others.empty()) {
        ask(relation, tuple, others);
    }
}

/// The server's own functions, under the same settings as the session that decodes.
void BinaryText::ask(const Relation& relation, Tuple& tuple, const std::vector<std::size_t>& columns)
{
    std::string sql = "SELECT ";
    std::vector<pg::Parameter> parameters;
    for (const std::size_t column : columns) {
        parameters.emplace_back(tuple[column].text, type(relation.columns[column].type_oid).oid);
        sql += fmt::format("{}${}", parameters.size() == 1 ? "" : ", ", parameters.size());
    }
    const auto impossible = [&](const ErrorParts& error) {
        return FatalError(
            {fmt::format("reading a row of {} in binary", relation.name.to_string()), error.why,
             "Nothing is skipped; the slot keeps the WAL. A value has no text that PostgreSQL can write, or "
             "its type is not there any more: leave the column out of the capture, then `keyshift cdc "
             "recover`: a new slot behind it, and every table read again."});
    };
    try {
        const pg::Result texts = connection_.query(sql, parameters);
        for (std::size_t at = 0; at < columns.size(); ++at) {
            tuple[columns[at]] = {Datum::Kind::text, texts_.emplace_back(texts.text(0, static_cast<int>(at)))};
        }
    } catch (const pg::SqlError& error) {
        throw impossible(error.parts());
    } catch (const pg::TransientSqlError& error) {
        if (ReadingMode::is_failure(error.sqlstate())) {
            throw impossible(error.parts());
        }
        throw;
    }
}

const BinaryText::Type& BinaryText::type(std::uint32_t oid)
{
    const auto known = types_.find(oid);
    return known != types_.end() ? known->second : types_.emplace(oid, look_up(oid)).first->second;
}

BinaryText::Type BinaryText::look_up(std::uint32_t oid)
{
    // A domain's values are those of its base type; its constraints may have changed since they were written.
    const pg::Result base = connection_.query(
        "WITH RECURSIVE base AS ("
        "SELECT oid, typtype, typbasetype FROM pg_catalog.pg_type WHERE oid = $1::oid "
        "UNION ALL SELECT t.oid, t.typtype, t.typbasetype FROM base JOIN pg_catalog.pg_type t ON t.oid = base.typbasetype "
        "WHERE base.typtype = 'd') SELECT oid, typtype FROM base WHERE typtype <> 'd'",
        {std::to_string(oid)});
    if (base.rows() == 0) {
        return {oid, false}; // dropped since; the server says so
    }
    const auto found = static_cast<std::uint32_t>(base.integer(0, 0));
    return {found, is_same(found, base.text(0, 1))};
}

} // namespace keyshift::cdc
