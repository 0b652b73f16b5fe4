#include "projections/batch_writer.hpp"
#include "projections/spelling.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace keyshift::projections {

namespace {

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
/// seq as bigint arrays, and live as text. All are as long, and unnested side by side: in FROM the server would keep the rows
/// in a table of its own first.
std::string change_query(const Definition& definition)
{
    std::string typed;
    std::string arrays;
    for (std::size_t at = 0; at < definition.base_columns.size(); ++at) {
        const BaseColumn& column = definition.base_columns[at];
        typed += fmt::format("c{}::{} AS {}, ", at, column.type, quote_identifier(column.name));
        arrays += fmt::format("unnest(${}::{}[]) AS c{}, ", at + 1, column.type == "uuid" ? "uuid" : "text", at);
    }
    const std::size_t next = definition.base_columns.size() + 1;
    return fmt::format("SELECT {}e AS _ks_epoch, l AS _ks_lsn, s AS _ks_seq, v::boolean AS _ks_live FROM (SELECT {}"
                       "unnest(${}::bigint[]) AS e, unnest(${}::bigint[]) AS l, unnest(${}::bigint[]) AS s, "
                       "unnest(${}::text[]) AS v) AS u",
                       typed, arrays, next, next + 1, next + 2, next + 3);
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

/// What of the SELECT's columns is written of a row of `changes`. A computed key is taken as it came: the row is on its node by
/// that value, and an expression over characters may differ between nodes of different libraries.
struct Shown {
    std::string list;
    std::string from;
};

Shown shown_of(const Definition& definition, const std::string& changes)
{
    const std::string alias = quote_identifier(definition.alias);
    const std::string from = fmt::format("{} AS {}", changes, alias);
    const auto computed = [&](const std::string& shown) -> const BaseColumn* {
        const BaseColumn* const base =
            contains(definition.key, shown)
                ? &definition.base_columns[definition.base_column(base_of(definition, shown))]
                : nullptr;
        return base != nullptr && !base->computed.empty() ? base : nullptr;
    };
    if (std::ranges::none_of(definition.columns,
                             [&](const ProjectedColumn& column) { return computed(column.name) != nullptr; })) {
        return {definition.select_list, from};
    }
    Shown shown;
    std::string names; // the list's names are the base table's too, which its WHERE may use without an alias
    for (const ProjectedColumn& column : definition.columns) {
        const BaseColumn* const key = computed(column.name);
        const std::string name = fmt::format("_ks_shown{}", &column - definition.columns.data());
        names += (names.empty() ? "" : ", ") + name;
        shown.list += shown.list.empty() ? "" : ", ";
        shown.list += key != nullptr ? alias + "." + quote_identifier(key->name) : name;
    }
    shown.from =
        fmt::format("{} CROSS JOIN LATERAL (SELECT {}) AS _ks_shown ({})", from, definition.select_list, names);
    return shown;
}

} // namespace

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
    const auto respelt = [&](const std::string& name) {
        return may_be_respelt(definition, name);
    };
    std::string updates;
    for (const std::string& name : written) {
        if (!contains(conflict, name) || respelt(name)) {
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
    const std::string there = fmt::format("ON CONFLICT ({}) DO ", list(conflict));
    // A change of the spelling alone is a delete of the one and an insert of the other, with one version: the row is there.
    const bool live_wins = std::any_of(conflict.begin(), conflict.end(), respelt);
    const std::string newest_wins = fmt::format(
        "{}UPDATE SET {}_epoch = excluded._epoch, _lsn = excluded._lsn, _seq = excluded._seq, _live = excluded._live "
        "WHERE (t._epoch, t._lsn, t._seq{}) < (excluded._epoch, excluded._lsn, excluded._seq{})",
        there, updates, live_wins ? ", t._live" : "", live_wins ? ", excluded._live" : "");
    if (batch == Batch::live && definition.condition.empty() && !definition.aggregation) {
        const Shown written_of = shown_of(definition, "(" + change_query(definition) + ")");
        return fmt::format("{}SELECT {}, {}{}, true FROM {} {}", target, written_of.list, hidden, version,
                           written_of.from, newest_wins);
    }
    // The definition's expressions see only rows that its WHERE takes: 10/x ... WHERE x <> 0 must never divide by zero.
    const auto insert_from = [&](const char* changes) {
        const Shown written_of = shown_of(definition, changes);
        return fmt::format("{}SELECT {}, {}{}, true FROM {} WHERE {} "
                           "UNION ALL SELECT {}{}{}, false FROM {} AS {} WHERE NOT ({}) ",
                           target, written_of.list, hidden, version, written_of.from, shown, gone, hidden, version,
                           changes, alias, shown);
    };
    if (definition.aggregation) {
        return upsert_with_totals(definition, change_query(definition),
                                  {insert_from("ks_change") + there + "NOTHING", insert_from("ks_rest") + newest_wins});
    }
    return fmt::format("WITH ks_change AS MATERIALIZED ({}) {}{}", change_query(definition), insert_from("ks_change"),
                       newest_wins);
}

std::string cleaning_statement(const Definition& definition)
{
    return definition.aggregation ? remove_empty_groups(definition, change_query(definition)) : "";
}

} // namespace keyshift::projections
