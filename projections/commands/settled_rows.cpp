#include "projections/commands/settled_rows.hpp"

#include "core/backoff.hpp"
#include "core/error.hpp"
#include "core/json.hpp"
#include "projections/horizon.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>

namespace keyshift::projections {

using namespace std::chrono_literals;

namespace {

/// The row's columns, then the hash of what the definition makes of it (NULL: it takes no such row), under the row's lock.
std::string locking_query(const Definition& definition, const std::string& from)
{
    const std::string taken = definition.condition.empty() ? "true" : definition.condition;
    std::string columns;
    for (const BaseColumn& column : definition.base_columns) {
        columns += fmt::format(fmt::runtime(column.computed.empty() ? "{1}, " : "CASE WHEN {0} THEN {1} END, "), taken,
                               text_of(column));
    }
    const std::string shown = fmt::format("(SELECT {} FROM (SELECT {}) AS \"_ks_shown\")",
                                          row_hash(definition, "\"_ks_shown\""), definition.select_list);
    std::string condition;
    for (std::size_t at = 0; at < definition.pk.size(); ++at) {
        const BaseColumn& column = definition.base_columns[definition.base_column(definition.pk[at])];
        condition +=
            fmt::format("{}{} = ${}::{}", at == 0 ? "" : " AND ", quote_identifier(column.name), at + 1, column.type);
    }
    return fmt::format("SELECT {}CASE WHEN {} THEN {} END::text FROM {} AS {} WHERE {} FOR SHARE", columns, taken,
                       shown, from, quote_identifier(definition.alias), condition);
}

} // namespace

SettledRows::SettledRows(pg::Connection& catalog, const Definition& definition)
    : catalog_(catalog), definition_(definition), table_(base_table(catalog, definition, "reading the rows of"))
{
}

pg::Connection& SettledRows::connection(const std::string& node)
{
    auto& open = connections_[node];
    if (!open) {
        open = std::make_unique<pg::Connection>(catalog::node(catalog_, node).connection("projection repair"));
        open->query("SET lock_timeout = '20s'");
    }
    return *open;
}

std::uint32_t SettledRows::bucket_of(const Keys& key)
{
    return table_.group.empty() ? 0 : bucket_of(key, catalog::placement(catalog_, table_.group).begin()->second.node);
}

std::uint32_t SettledRows::bucket_of(const Keys& key, const std::string& node)
{
    nlohmann::json shard_key = nlohmann::json::array();
    for (const std::string& column : table_.key_columns) {
        const auto at = std::find(definition_.pk.begin(), definition_.pk.end(), column) - definition_.pk.begin();
        shard_key.push_back(key.at(static_cast<std::size_t>(at)));
    }
    return static_cast<std::uint32_t>(
        connection(node)
            .query("SELECT keyshift.bucket_of($1::regclass, VARIADIC (SELECT array_agg(k ORDER BY n) FROM "
                   "jsonb_array_elements_text($2::jsonb) WITH ORDINALITY AS e(k, n)))",
                   {definition_.base.quoted(), shard_key.dump()})
            .integer(0, 0));
}

/// The bucket stays open here, and the row as it is, until the position has been taken: a later change, or a fence, comes
/// behind it.
std::optional<SettledRow> SettledRows::read_locked(const RowKey& row, const Keys& key, Place& place)
{
    if (table_.group.empty()) {
        place.node = table_.node;
    } else {
        const auto places = catalog::placement(catalog_, table_.group);
        const auto at = places.find(BucketId{place.bucket});
        if (at == places.end()) { // made by a split that the catalog is about to know
            return std::nullopt;
        }
        place.node = at->second.node;
    }
    place.epoch = Epoch{1};
    QualifiedName leaf = definition_.base;
    pg::Connection& node = connection(place.node);
    pg::Transaction transaction(node);
    if (!table_.group.empty()) {
        leaf = catalog::leaf_name(definition_.base, BucketId{place.bucket});
        const pg::Result open = node.query(
            "SELECT epoch FROM keyshift.local_bucket WHERE group_name = $1 AND bucket = $2 AND state = 'open' FOR SHARE",
            {table_.group, std::to_string(place.bucket)});
        if (open.rows() == 0) {
            return std::nullopt;
        }
        if (const std::uint32_t now = bucket_of(key, place.node); now != place.bucket) { // it was split meanwhile
            place.bucket = now;
            return std::nullopt;
        }
        place.epoch = Epoch{static_cast<std::uint64_t>(open.integer(0, 0))};
    }
    const std::vector<pg::Parameter> parameters(key.begin(), key.end());
    const std::string from = (table_.group.empty() ? "" : "ONLY ") + leaf.quoted();
    const pg::Result found = node.query(locking_query(definition_, from), parameters);
    SettledRow settled{row, BaseRow(definition_.base_columns.size()), found.rows() == 1, "", {}};
    settled.version = {place.epoch, node.query("SELECT pg_current_wal_insert_lsn()").lsn(0, 0), 0};
    for (std::size_t at = 0; at < settled.base.size() && settled.present; ++at) {
        settled.base[at] = found.optional_text(0, static_cast<int>(at));
    }
    if (settled.present) {
        settled.hash = found.text(0, static_cast<int>(settled.base.size()));
    }
    transaction.commit();
    return settled;
}

SettledRow SettledRows::read_present(const RowKey& row, const Keys& key, Place& place, std::stop_token stop)
{
    Backoff backoff(20ms, 500ms);
    for (int tries = 0; tries < 60; ++tries) {
        if (auto settled = read_locked(row, key, place)) {
            for (std::size_t at = 0; at < definition_.pk.size() && !settled->present; ++at) {
                settled->base[definition_.base_column(definition_.pk[at])] = key[at];
            }
            return *std::move(settled);
        }
        if (!backoff.wait(stop)) {
            break;
        }
    }
    throw TransientError({"reading rows of " + definition_.base.to_string(),
                          fmt::format("bucket {} is open on no node", place.bucket),
                          "It changes its node: `keyshift reshard status`. Then run the command again."});
}

/// A transaction may have committed before a position and be invisible still. What is not there once all that were open at
/// the position have ended was not there at it, or has gone since, by a later version of its own.
std::map<std::string, Lsn> SettledRows::pass_horizon(const std::vector<Place>& places, std::stop_token stop)
{
    constexpr auto kMost = 60s;
    std::map<std::string, Lsn> lsns;
    std::map<std::string, Horizon> horizons;
    for (const Place& place : places) {
        if (!lsns.contains(place.node)) {
            pg::Connection& node = connection(place.node);
            lsns[place.node] = node.query("SELECT pg_current_wal_insert_lsn()").lsn(0, 0);
            horizons.emplace(place.node, node);
        }
    }
    const auto begin = std::chrono::steady_clock::now();
    for (const auto& [name, horizon] : horizons) {
        Backoff backoff(10ms, 500ms);
        while (!horizon.passed(connection(name))) {
            if (std::chrono::steady_clock::now() - begin > kMost || !backoff.wait(stop)) {
                throw TransientError({"reading rows of " + definition_.base.to_string() + " on " + name,
                                      "a transaction that was open before does not end",
                                      "Look for it in pg_stat_activity, then run the command again."});
            }
        }
    }
    return lsns;
}

std::vector<SettledRow> SettledRows::read(const std::vector<RowKey>& rows, std::stop_token stop)
{
    std::vector<SettledRow> settled;
    std::vector<Place> places;
    std::vector<Keys> keys;
    for (const RowKey& row : rows) {
        keys.push_back(nlohmann::json::parse(row).get<Keys>());
        Place& place = places.emplace_back();
        place.bucket = bucket_of(keys.back());
        settled.push_back(read_present(row, keys.back(), place, stop));
    }
    std::vector<std::size_t> absent;
    for (std::size_t at = 0; at < rows.size(); ++at) {
        if (!settled[at].present) {
            absent.push_back(at);
        }
    }
    while (!absent.empty()) {
        std::vector<Place> looked;
        for (const std::size_t at : absent) {
            looked.push_back(places[at]);
        }
        const std::map<std::string, Lsn> horizon = pass_horizon(looked, stop);
        std::vector<std::size_t> moved;
        for (const std::size_t at : absent) {
            const Place before = places[at];
            settled[at] = read_present(rows[at], keys[at], places[at], stop);
            if (!settled[at].present && !(places[at] == before)) {
                moved.push_back(at);
            } else if (!settled[at].present) {
                settled[at].version.commit_lsn = horizon.at(before.node);
            }
        }
        absent = std::move(moved);
    }
    return settled;
}

} // namespace keyshift::projections
