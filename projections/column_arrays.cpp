#include "projections/column_arrays.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace keyshift::projections {

namespace {

// PostgreSQL's OIDs of text, bigint and uuid, and of arrays of them (catalog/pg_type.dat).
constexpr std::uint32_t kTextOid = 25;
constexpr std::uint32_t kBigintOid = 20;
constexpr std::uint32_t kUuidOid = 2950;
constexpr std::uint32_t kTextArrayOid = 1009;
constexpr std::uint32_t kBigintArrayOid = 1016;
constexpr std::uint32_t kUuidArrayOid = 2951;

/// PostgreSQL's text form of an array.
std::string text_array(const std::vector<const std::string*>& values)
{
    std::string out = "{";
    for (const std::string* value : values) {
        out += out.size() == 1 ? "" : ",";
        if (value == nullptr) {
            out += "NULL";
            continue;
        }
        out += '"';
        for (const char letter : *value) {
            out += letter == '"' || letter == '\\' ? "\\" : "";
            out += letter;
        }
        out += '"';
    }
    return out + "}";
}

void write_be32(char* out, std::uint32_t value)
{
    out[0] = static_cast<char>(value >> 24U);
    out[1] = static_cast<char>(value >> 16U);
    out[2] = static_cast<char>(value >> 8U);
    out[3] = static_cast<char>(value);
}

constexpr std::uint32_t kNull = 0xFFFFFFFF;
constexpr std::uint8_t kNoDigit = 0xFF;
constexpr std::size_t kUuidBytes = 16;

/// Of the digits as PostgreSQL prints them.
constexpr std::array<std::uint8_t, 256> hexadecimal_digits()
{
    std::array<std::uint8_t, 256> digits{};
    digits.fill(kNoDigit);
    for (std::uint8_t value = 0; value < 16; ++value) {
        digits[static_cast<std::uint8_t>("0123456789abcdef"[value])] = value;
    }
    return digits;
}

/// Only the form that PostgreSQL itself prints; false: another one.
bool write_uuid(char* out, std::string_view text)
{
    constexpr std::size_t kLength = 36;
    static constexpr std::array<std::uint8_t, 256> kDigits = hexadecimal_digits();
    if (text.size() != kLength || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-') {
        return false;
    }
    unsigned seen = 0;
    for (const std::size_t at : {0U, 2U, 4U, 6U, 9U, 11U, 14U, 16U, 19U, 21U, 24U, 26U, 28U, 30U, 32U, 34U}) {
        const unsigned high = kDigits[static_cast<std::uint8_t>(text[at])];
        const unsigned low = kDigits[static_cast<std::uint8_t>(text[at + 1])];
        seen |= high | low;
        *out++ = static_cast<char>(high << 4U | low);
    }
    return seen <= 0xFU;
}

constexpr std::size_t kHeaderBytes = 20;

/// The header of an array of `count` elements, followed by `bytes` for them.
std::string array_of(bool nulls, std::uint32_t element, std::size_t count, std::size_t bytes)
{
    std::string out(kHeaderBytes + bytes, '\0');
    write_be32(out.data(), 1); // dimensions
    write_be32(out.data() + 4, nulls ? 1 : 0);
    write_be32(out.data() + 8, element);
    write_be32(out.data() + 12, static_cast<std::uint32_t>(count));
    write_be32(out.data() + 16, 1); // lower bound
    return out;
}

} // namespace

std::string binary_bigint_array(const std::vector<std::uint64_t>& values)
{
    std::string out = array_of(false, kBigintOid, values.size(), 12 * values.size());
    char* at = out.data() + kHeaderBytes;
    for (const std::uint64_t value : values) {
        write_be32(at, 8);
        write_be32(at + 4, static_cast<std::uint32_t>(value >> 32U));
        write_be32(at + 8, static_cast<std::uint32_t>(value));
        at += 12;
    }
    return out;
}

std::optional<std::string> binary_uuid_array(const std::vector<const std::string*>& values)
{
    const auto nulls = static_cast<std::size_t>(std::count(values.begin(), values.end(), nullptr));
    std::string out =
        array_of(nulls > 0, kUuidOid, values.size(), 4 * values.size() + kUuidBytes * (values.size() - nulls));
    char* at = out.data() + kHeaderBytes;
    for (const std::string* value : values) {
        write_be32(at, value == nullptr ? kNull : kUuidBytes);
        at += 4;
        if (value != nullptr) {
            if (!write_uuid(at, *value)) {
                return std::nullopt;
            }
            at += kUuidBytes;
        }
    }
    return out;
}

std::string binary_text_array(const std::vector<const std::string*>& values)
{
    std::size_t bytes = 0;
    bool nulls = false;
    for (const std::string* value : values) {
        bytes += 4 + (value == nullptr ? 0 : value->size());
        nulls = nulls || value == nullptr;
    }
    std::string out = array_of(nulls, kTextOid, values.size(), bytes);
    char* at = out.data() + kHeaderBytes;
    for (const std::string* value : values) {
        write_be32(at, value == nullptr ? kNull : static_cast<std::uint32_t>(value->size()));
        at += 4;
        if (value != nullptr) {
            at = std::copy(value->begin(), value->end(), at);
        }
    }
    return out;
}

void ColumnArrays::add_column(const BaseColumn& column, std::size_t index, const ChangeList& rows)
{
    std::vector<const std::string*> values(rows.size());
    std::transform(rows.begin(), rows.end(), values.begin(), [&](const RowChange* row) {
        const auto& value = row->base[index];
        return value ? &*value : nullptr;
    });
    if (column.type != "uuid") {
        add_texts(values);
    } else if (auto uuids = binary_uuid_array(values)) {
        arrays_.push_back({std::move(*uuids), kUuidArrayOid, true});
    } else {
        arrays_.push_back({text_array(values), kUuidArrayOid, false}); // PostgreSQL says which one is wrong
    }
}

void ColumnArrays::add_versions(const ChangeList& rows)
{
    std::vector<std::uint64_t> numbers(rows.size());
    const auto add = [&](auto number_of) {
        std::transform(rows.begin(), rows.end(), numbers.begin(), number_of);
        add_numbers(numbers);
    };
    add([](const RowChange* row) { return number(row->version.epoch); });
    add([](const RowChange* row) { return row->version.commit_lsn.value; });
    add([](const RowChange* row) { return row->version.seq; });
}

void ColumnArrays::add_live(const ChangeList& rows)
{
    static const std::string yes = "t";
    static const std::string no = "f";
    std::vector<const std::string*> values(rows.size());
    std::transform(rows.begin(), rows.end(), values.begin(),
                   [](const RowChange* row) { return row->live ? &yes : &no; });
    add_texts(values);
}

void ColumnArrays::add_texts(const std::vector<const std::string*>& values)
{
    arrays_.push_back({binary_text_array(values), kTextArrayOid, true});
}

void ColumnArrays::add_numbers(const std::vector<std::uint64_t>& values)
{
    arrays_.push_back({binary_bigint_array(values), kBigintArrayOid, true});
}

std::vector<pg::Parameter> ColumnArrays::parameters() const
{
    std::vector<pg::Parameter> parameters;
    for (const Array& array : arrays_) {
        parameters.push_back(array.binary ? pg::Parameter(std::string_view(array.bytes), array.type)
                                          : pg::Parameter(array.bytes));
    }
    return parameters;
}

} // namespace keyshift::projections
