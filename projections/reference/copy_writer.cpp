#include "projections/reference/copy_writer.hpp"

#include "catalog/rows.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <functional>

namespace keyshift::projections {

namespace {

/// "a = excluded.a, ..." of what an UPDATE may set.
std::string assignments(const ReferenceTable& table)
{
    std::string list;
    for (std::size_t place = 0; place < table.columns.size(); ++place) {
        if (table.settable[place] && std::ranges::find(table.key, place) == table.key.end()) {
            const std::string name = quote_identifier(table.columns[place].name);
            list += fmt::format("{}{} = excluded.{}", list.empty() ? "" : ", ", name, name);
        }
    }
    return list;
}

} // namespace

bool refuses_the_row(const std::string& sqlstate)
{
    // Value, constraint, limit, raised by a function or by Keyshift's own trigger of a bucket that is not here.
    constexpr std::array<std::string_view, 6> kClasses = {"22", "23", "54", "P0", "38", "KS"};
    return std::ranges::any_of(kClasses, [&](std::string_view kind) { return sqlstate.starts_with(kind); });
}

std::string key_array(const RowKey& key)
{
    return catalog::write_array(key);
}

std::string column_list(const ReferenceTable& table, const std::string& prefix, const std::string& suffix)
{
    std::string list;
    for (const BaseColumn& column : table.columns) {
        list += (list.empty() ? "" : ", ") + prefix + quote_identifier(column.name) + suffix;
    }
    return list;
}

std::string key_list(const ReferenceTable& table, const std::string& prefix, const std::string& suffix)
{
    std::string list;
    for (const std::size_t place : table.key) {
        list += (list.empty() ? "" : ", ") + prefix + quote_identifier(table.columns[place].name) + suffix;
    }
    return list;
}

CopyWriter::CopyWriter(pg::Connection& node, const ReferenceTable& table)
    : node_(node), table_(table), quoted_(table.name.quoted())
{
    std::string values;
    for (std::size_t place = 0; place < table.columns.size(); ++place) {
        values += fmt::format("{}${}::{}", values.empty() ? "" : ", ", place + 1, table.columns[place].type);
    }
    const std::string set = assignments(table);
    upsert_ = fmt::format("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({}) ON CONFLICT ({}) DO {}", quoted_,
                          column_list(table), values, key_list(table), set.empty() ? "NOTHING" : "UPDATE SET " + set);
    delete_ = fmt::format("DELETE FROM {} WHERE {}", quoted_, key_condition(1));
}

std::string CopyWriter::key_condition(std::size_t first) const
{
    std::string condition;
    for (const std::size_t place : table_.key) {
        condition += fmt::format("{}{} = ${}::{}", condition.empty() ? "" : " AND ",
                                 quote_identifier(table_.columns[place].name), first++, table_.columns[place].type);
    }
    return condition;
}

void CopyWriter::run(const std::string& purpose, const std::string& sql, const std::vector<pg::Parameter>& parameters,
                     std::int64_t* affected)
{
    const std::int64_t rows =
        node_.run_prepared(fmt::format("reference_{}_{}", table_.id, purpose), sql, parameters).affected();
    if (affected != nullptr) {
        *affected = rows;
    }
}

bool CopyWriter::apply(const ReferenceEvent& event)
{
    switch (event.kind) {
    case ReferenceEvent::Kind::truncate:
        node_.query("DELETE FROM " + quoted_); // TRUNCATE is refused where a foreign key points at the table
        return true;
    case ReferenceEvent::Kind::remove:
        remove(event.key);
        return true;
    case ReferenceEvent::Kind::put:
        break;
    }
    if ((event.moved_from || !event.absent.empty()) && update(event)) {
        return true;
    }
    if (!event.absent.empty()) {
        return false;
    }
    put(event.row);
    return true;
}

void CopyWriter::put(const BaseRow& row)
{
    run("put", upsert_, {row.begin(), row.end()});
}

void CopyWriter::remove(const RowKey& key)
{
    run("remove", delete_, {key.begin(), key.end()});
}

/// In place, so that foreign keys with ON UPDATE CASCADE follow a changed key, and absent columns stay. False: no such row.
bool CopyWriter::update(const ReferenceEvent& event)
{
    const RowKey& key = event.moved_from ? *event.moved_from : event.key;
    std::vector<pg::Parameter> parameters(key.begin(), key.end());
    std::string set;
    for (std::size_t place = 0; place < table_.columns.size(); ++place) {
        if (table_.settable[place] && std::ranges::find(event.absent, place) == event.absent.end()) {
            parameters.emplace_back(event.row[place]);
            set += fmt::format("{}{} = ${}::{}", set.empty() ? "" : ", ", quote_identifier(table_.columns[place].name),
                               parameters.size(), table_.columns[place].type);
        }
    }
    if (set.empty()) {
        return true;
    }
    const std::string sql = fmt::format("UPDATE {} SET {} WHERE {}", quoted_, set, key_condition(1));
    std::int64_t affected = 0;
    run(fmt::format("set_{:x}", std::hash<std::string>{}(sql)), sql, parameters, &affected);
    return affected > 0;
}

std::optional<BaseRow> CopyWriter::read(pg::Connection& from, const RowKey& key) const
{
    const std::vector<pg::Parameter> parameters(key.begin(), key.end());
    const pg::Result found = from.query(
        fmt::format("SELECT {} FROM ONLY {} WHERE {}", column_list(table_, "", "::text"), quoted_, key_condition(1)),
        parameters);
    if (found.rows() == 0) {
        return std::nullopt;
    }
    BaseRow row;
    for (int column = 0; column < found.columns(); ++column) {
        row.push_back(found.optional_text(0, column));
    }
    return row;
}

void CopyWriter::remember_conflict(const RowKey& key, const std::string& reason)
{
    node_.query("INSERT INTO keyshift.reference_conflict (root, key, reason) VALUES ($1::regclass, $2::text[], $3) "
                "ON CONFLICT (root, key) DO UPDATE SET reason = excluded.reason",
                {quoted_, key_array(key), reason});
}

void CopyWriter::forget_conflict(const RowKey& key)
{
    node_.query("DELETE FROM keyshift.reference_conflict WHERE root = $1::regclass AND key = $2::text[]",
                {quoted_, key_array(key)});
}

} // namespace keyshift::projections
