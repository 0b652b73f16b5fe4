#include "projections/batch_writer.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace keyshift::projections {

namespace {

// PostgreSQL's OIDs of text, bigint and uuid (catalog/pg_type.dat).
constexpr std::uint32_t kTextOid = 25;
constexpr std::uint32_t kBigintOid = 20;
constexpr std::uint32_t kUuidOid = 2950;

void put_be32(std::string& out, std::uint32_t value)
{
    for (const unsigned shift : {24U, 16U, 8U, 0U}) {
        out += static_cast<char>(value >> shift & 0xFFU);
    }
}

std::string list(const std::vector<std::string>& names)
{
    std::string out;
    for (const std::string& name : names) {
        out += (out.empty() ? "" : ", ") + quote_identifier(name);
    }
    return out;
}

bool contains(const std::vector<std::string>& names, const std::string& name)
{
    return std::find(names.begin(), names.end(), name) != names.end();
}

/// The base column behind a column of the projection's identity.
std::string base_of(const Definition& definition, const std::string& shown)
{
    for (std::size_t at = 0; at < definition.key.size(); ++at) {
        if (definition.key[at] == shown) {
            return definition.key_base[at];
        }
    }
    const auto found = std::find(definition.pk_names.begin(), definition.pk_names.end(), shown);
    return definition.pk.at(static_cast<std::size_t>(found - definition.pk_names.begin()));
}

/// The batch as rows of the base table with their versions: $1.. one array a column, of uuid or text, then epoch, LSN and
/// seq as bigint arrays, and live as text.
std::string change_query(const Definition& definition)
{
    std::string typed;
    std::string arrays;
    std::string names;
    for (std::size_t at = 0; at < definition.base_columns.size(); ++at) {
        const BaseColumn& column = definition.base_columns[at];
        typed += fmt::format("c{}::{} AS {}, ", at, column.type, quote_identifier(column.name));
        arrays += fmt::format("${}::{}[], ", at + 1, column.type == "uuid" ? "uuid" : "text");
        names += fmt::format("c{}, ", at);
    }
    const std::size_t next = definition.base_columns.size() + 1;
    return fmt::format("SELECT {}e AS _ks_epoch, l AS _ks_lsn, s AS _ks_seq, v::boolean AS _ks_live "
                       "FROM unnest({}${}::bigint[], ${}::bigint[], ${}::bigint[], ${}::text[]) AS u({}e, l, s, v)",
                       typed, arrays, next, next + 1, next + 2, next + 3, names);
}

/// Primary key columns that the SELECT does not show: the projection's table keeps them under a name of its own.
std::vector<std::size_t> hidden_keys(const Definition& definition)
{
    std::vector<std::size_t> hidden;
    for (std::size_t at = 0; at < definition.pk.size(); ++at) {
        const auto shown = [&](const ProjectedColumn& column) {
            return column.name == definition.pk_names[at];
        };
        if (std::none_of(definition.columns.begin(), definition.columns.end(), shown)) {
            hidden.push_back(at);
        }
    }
    return hidden;
}

} // namespace

namespace {

/// Only the form that PostgreSQL itself prints; false: another one.
bool append_uuid(std::string& out, std::string_view text)
{
    constexpr std::size_t kLength = 36;
    const auto digit = [](char letter) {
        return letter >= '0' && letter <= '9' ? letter - '0' : letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
    };
    if (text.size() != kLength) {
        return false;
    }
    for (std::size_t at = 0; at < kLength;) {
        if (at == 8 || at == 13 || at == 18 || at == 23) {
            if (text[at++] != '-') {
                return false;
            }
            continue;
        }
        const int high = digit(text[at]);
        const int low = digit(text[at + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out += static_cast<char>(high << 4 | low);
        at += 2;
    }
    return true;
}

std::string array_header(bool nulls, std::uint32_t element, std::size_t count)
{
    std::string out;
    put_be32(out, 1); // dimensions
    put_be32(out, nulls ? 1 : 0);
    put_be32(out, element);
    put_be32(out, static_cast<std::uint32_t>(count));
    put_be32(out, 1); // lower bound
    return out;
}

} // namespace

std::string binary_bigint_array(const std::vector<std::uint64_t>& values)
{
    std::string out = array_header(false, kBigintOid, values.size());
    out.reserve(out.size() + 12 * values.size());
    for (const std::uint64_t value : values) {
        put_be32(out, 8);
        put_be32(out, static_cast<std::uint32_t>(value >> 32U));
        put_be32(out, static_cast<std::uint32_t>(value));
    }
    return out;
}

std::optional<std::string> binary_uuid_array(const std::vector<const std::string*>& values)
{
    std::string out = array_header(std::count(values.begin(), values.end(), nullptr) > 0, kUuidOid, values.size());
    out.reserve(out.size() + 20 * values.size());
    for (const std::string* value : values) {
        put_be32(out, value == nullptr ? 0xFFFFFFFFU : 16);
        if (value != nullptr && !append_uuid(out, *value)) {
            return std::nullopt;
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
    std::string out = array_header(nulls, kTextOid, values.size());
    out.reserve(out.size() + bytes);
    for (const std::string* value : values) {
        put_be32(out, value == nullptr ? 0xFFFFFFFFU : static_cast<std::uint32_t>(value->size()));
        out += value == nullptr ? std::string_view() : std::string_view(*value);
    }
    return out;
}

std::string upsert_statement(const Definition& definition, Batch batch)
{
    const std::string alias = quote_identifier(definition.alias);
    std::vector<std::string> conflict = definition.key;
    for (const std::string& name : definition.pk_names) {
        if (!contains(conflict, name)) {
            conflict.push_back(name);
        }
    }
    std::vector<std::string> written;
    std::string gone; // what a tombstone holds: its identity, and NULLs
    for (const ProjectedColumn& column : definition.columns) {
        written.push_back(column.name);
        gone += contains(conflict, column.name)
                    ? fmt::format("{}.{}, ", alias, quote_identifier(base_of(definition, column.name)))
                    : fmt::format("NULL::{}, ", column.type);
    }
    std::string hidden;
    for (const std::size_t at : hidden_keys(definition)) {
        written.push_back(definition.pk_names[at]);
        hidden += fmt::format("{}.{}, ", alias, quote_identifier(definition.pk[at]));
    }
    std::string updates;
    for (const std::string& name : written) {
        if (!contains(conflict, name)) {
            updates += quote_identifier(name) + " = excluded." + quote_identifier(name) + ", ";
        }
    }
    const std::string shown = definition.condition.empty()
                                  ? alias + "._ks_live"
                                  : fmt::format("CASE WHEN {}._ks_live THEN coalesce(({}), false) ELSE false END",
                                                alias, definition.condition);
    const std::string version = fmt::format("{0}._ks_epoch, {0}._ks_lsn, {0}._ks_seq", alias);
    const std::string target =
        fmt::format("INSERT INTO {} AS t ({}, _epoch, _lsn, _seq, _live) ", definition.table().quoted(), list(written));
    const std::string newest_wins = fmt::format(
        "ON CONFLICT ({}) DO UPDATE SET {}_epoch = excluded._epoch, _lsn = excluded._lsn, _seq = excluded._seq, _live = excluded._live "
        "WHERE (t._epoch, t._lsn, t._seq) < (excluded._epoch, excluded._lsn, excluded._seq)",
        list(conflict), updates);
    if (batch == Batch::live && definition.condition.empty() && !definition.aggregation) {
        return fmt::format("{}SELECT {}, {}{}, true FROM ({}) AS {} {}", target, definition.select_list, hidden,
                           version, change_query(definition), alias, newest_wins);
    }
    // The definition's expressions see only rows that its WHERE takes: 10/x ... WHERE x <> 0 must never divide by zero.
    const std::string upsert = fmt::format("{}SELECT {}, {}{}, true FROM ks_change AS {} WHERE {} "
                                           "UNION ALL SELECT {}{}{}, false FROM ks_change AS {} WHERE NOT ({}) {}",
                                           target, definition.select_list, hidden, version, alias, shown, gone, hidden,
                                           version, alias, shown, newest_wins);
    if (definition.aggregation) {
        return upsert_with_totals(definition, change_query(definition), upsert);
    }
    return fmt::format("WITH ks_change AS MATERIALIZED ({}) {}", change_query(definition), upsert);
}

std::string cleaning_statement(const Definition& definition)
{
    return definition.aggregation ? remove_empty_groups(definition, change_query(definition)) : "";
}

} // namespace keyshift::projections
