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

std::string list(const std::vector<std::string>& names, const std::string& before, const std::string& after)
{
    std::string out;
    for (const std::string& name : names) {
        out += (out.empty() ? "" : ", ") + before + quote_identifier(name) + after;
    }
    return out;
}

/// Primary key columns that the SELECT does not show: the projection's table keeps them under a name of its own.
std::vector<std::size_t> hidden_keys(const Definition& definition)
{
    std::vector<std::size_t> hidden;
    for (std::size_t at = 0; at < definition.pk.size(); ++at) {
        const auto shown = [&](const ProjectedColumn& column) { return column.name == definition.pk_names[at]; };
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
    std::vector<std::string> written;
    for (const ProjectedColumn& column : definition.columns) {
        written.push_back(column.name);
    }
    std::string extra;
    const std::string alias = quote_identifier(definition.alias);
    for (const std::size_t at : hidden_keys(definition)) {
        written.push_back(definition.pk_names[at]);
        extra += ", " + alias + "." + quote_identifier(definition.pk[at]);
    }
    const std::string live = definition.condition.empty() ? alias + "._ks_live" : fmt::format("{}._ks_live AND coalesce(({}), false)", alias, definition.condition);
    std::string typed;
    std::string arrays;
    std::string names;
    for (std::size_t at = 0; at < definition.base_columns.size(); ++at) {
        const BaseColumn& column = definition.base_columns[at];
        typed += fmt::format("{}c{}::{} AS {}", at == 0 ? "" : ", ", at, column.type, quote_identifier(column.name));
        arrays += fmt::format("{}${}::text[]", at == 0 ? "" : ", ", at + 1);
        names += fmt::format("{}c{}", at == 0 ? "" : ", ", at);
    }
    const std::size_t next = definition.base_columns.size() + 1;
    std::vector<std::string> conflict = definition.key;
    for (const std::string& name : definition.pk_names) {
        if (std::find(conflict.begin(), conflict.end(), name) == conflict.end()) {
            conflict.push_back(name);
        }
    }
    std::string updates;
    for (const std::string& name : written) {
        if (std::find(conflict.begin(), conflict.end(), name) == conflict.end()) {
            updates += quote_identifier(name) + " = excluded." + quote_identifier(name) + ", ";
        }
    }
    // OFFSET 0 keeps the casts in the inner query: each value is converted once.
    return fmt::format(
        "INSERT INTO {0} AS t ({1}, _epoch, _lsn, _seq, _live) "
        "SELECT {2}{3}, {4}._ks_epoch, {4}._ks_lsn, {4}._ks_seq, {5} FROM (SELECT {6}, e::bigint AS _ks_epoch, l::bigint AS _ks_lsn, "
        "s::bigint AS _ks_seq, v::boolean AS _ks_live FROM unnest({7}, ${8}::text[], ${9}::text[], ${10}::text[], ${11}::text[]) "
        "AS u({12}, e, l, s, v) OFFSET 0) AS {4} "
        "ON CONFLICT ({13}) DO UPDATE SET {14}_epoch = excluded._epoch, _lsn = excluded._lsn, _seq = excluded._seq, _live = excluded._live "
        "WHERE (t._epoch, t._lsn, t._seq) < (excluded._epoch, excluded._lsn, excluded._seq)",
        definition.table().quoted(), list(written, "", ""), definition.select_list, extra, alias, live, typed, arrays, next, next + 1, next + 2,
        next + 3, names, list(conflict, "", ""), updates);
}

} // namespace keyshift::projections
