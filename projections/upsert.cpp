#include "projections/batch_writer.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace keyshift::projections {

namespace {

// PostgreSQL's OID of text (catalog/pg_type.dat).
constexpr std::uint32_t kTextOid = 25;

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

/// The batch as rows of the base table with their versions: $1.. one text array a column, then epoch, LSN, seq, live.
std::string change_query(const Definition& definition)
{
    std::string typed;
    std::string arrays;
    std::string names;
    for (std::size_t at = 0; at < definition.base_columns.size(); ++at) {
        const BaseColumn& column = definition.base_columns[at];
        typed += fmt::format("c{}::{} AS {}, ", at, column.type, quote_identifier(column.name));
        arrays += fmt::format("${}::text[], ", at + 1);
        names += fmt::format("c{}, ", at);
    }
    const std::size_t next = definition.base_columns.size() + 1;
    return fmt::format(
        "SELECT {}e::bigint AS _ks_epoch, l::bigint AS _ks_lsn, s::bigint AS _ks_seq, v::boolean AS _ks_live "
        "FROM unnest({}${}::text[], ${}::text[], ${}::text[], ${}::text[]) AS u({}e, l, s, v)",
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

std::string binary_text_array(const std::vector<const std::string*>& values)
{
    std::size_t bytes = 20;
    bool nulls = false;
    for (const std::string* value : values) {
        bytes += 4 + (value == nullptr ? 0 : value->size());
        nulls = nulls || value == nullptr;
    }
    std::string out;
    out.reserve(bytes);
    put_be32(out, 1); // dimensions
    put_be32(out, nulls ? 1 : 0);
    put_be32(out, kTextOid);
    put_be32(out, static_cast<std::uint32_t>(values.size()));
    put_be32(out, 1); // lower bound
    for (const std::string* value : values) {
        put_be32(out, value == nullptr ? 0xFFFFFFFFU : static_cast<std::uint32_t>(value->size()));
        out += value == nullptr ? std::string_view() : std::string_view(*value);
    }
    return out;
}

std::string upsert_statement(const Definition& definition)
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
    // The definition's expressions see only rows that its WHERE takes: 10/x ... WHERE x <> 0 must never divide by zero.
    return fmt::format(
        "WITH ks_change AS MATERIALIZED ({0}) INSERT INTO {1} AS t ({2}, _epoch, _lsn, _seq, _live) "
        "SELECT {3}, {4}{5}, true FROM ks_change AS {6} WHERE {7} "
        "UNION ALL SELECT {8}{4}{5}, false FROM ks_change AS {6} WHERE NOT ({7}) "
        "ON CONFLICT ({9}) DO UPDATE SET {10}_epoch = excluded._epoch, _lsn = excluded._lsn, _seq = excluded._seq, _live = excluded._live "
        "WHERE (t._epoch, t._lsn, t._seq) < (excluded._epoch, excluded._lsn, excluded._seq)",
        change_query(definition), definition.table().quoted(), list(written), definition.select_list, hidden, version,
        alias, shown, gone, list(conflict), updates);
}

} // namespace keyshift::projections
