#include "projections/rejection_log.hpp"

#include "core/json.hpp"
#include "core/log.hpp"
#include "projections/event_mapper.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

namespace keyshift::projections {

using Json = nlohmann::json;

namespace {

/// A record's bytes as text that PostgreSQL takes: whatever is no UTF-8, and NUL, as \xHH.
std::optional<std::string> storable(const std::optional<std::string>& bytes)
{
    if (!bytes) {
        return std::nullopt;
    }
    std::string text;
    for (std::size_t at = 0; at < bytes->size();) {
        const auto lead = static_cast<unsigned char>((*bytes)[at]);
        const std::size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
        const std::string_view letter = std::string_view(*bytes).substr(at, length);
        if (lead != 0 && letter.size() == length && simdjson::validate_utf8(letter.data(), letter.size())) {
            text += letter;
            at += length;
        } else {
            text += fmt::format("\\x{:02X}", lead);
            ++at;
        }
    }
    return text;
}

Json headers_of(const kafka::Message& message)
{
    Json headers = Json::array();
    for (const auto& [name, value] : message.headers) {
        headers.push_back({storable(name).value_or(""), storable(value).value_or("")});
    }
    return headers;
}

/// Without one it is older than anything: whatever comes next of its row heals it.
SourcePosition position_of(std::string_view header)
{
    return SourcePosition::parse(header).value_or(SourcePosition());
}

} // namespace

bool blames_the_row(std::string_view sqlstate)
{
    // 21: two spellings of one key in a statement; each half of the batch has one of them at last.
    constexpr std::array<std::string_view, 6> kClasses = {"21", "22", "23", "54", "P0", "38"};
    return std::any_of(kClasses.begin(), kClasses.end(),
                       [&](std::string_view kind) { return sqlstate.starts_with(kind); });
}

std::int64_t count_rejections(pg::Connection& catalog, const std::string& projection)
{
    const pg::Result row =
        catalog.query("WITH c AS (SELECT count(*) AS n FROM keyshift.rejection WHERE projection = $1) "
                      "UPDATE keyshift.projection SET rejections = c.n FROM c WHERE name = $1 RETURNING rejections",
                      {projection});
    return row.rows() == 0 ? 0 : row.integer(0, 0);
}

void add_rejected_row(pg::Connection& catalog, const Definition& definition, const RowChange& row,
                      const std::string& why)
{
    const std::string identity = row_identity(definition, row.base);
    Json value = Json::object();
    for (std::size_t at = 0; at < definition.base_columns.size(); ++at) {
        value[definition.base_columns[at].name] = row.base[at] ? Json(*row.base[at]) : Json();
    }
    catalog.query(
        "INSERT INTO keyshift.rejection (projection, topic, partition, kafka_offset, reason, detail, key, value, row_key) "
        "VALUES ($1, '', -1, hashtextextended($2, 0), 'refused_by_postgresql', $3, NULL, $4, $2) ON CONFLICT (projection, topic, partition, kafka_offset) DO UPDATE SET detail = excluded.detail, value = excluded.value, at = excluded.at",
        {definition.name, identity, why, value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)});
    count_rejections(catalog, definition.name);
    log::warning("projections", "projection={} a row that was there before could not be used: refused_by_postgresql",
                 definition.name);
}

RejectionLog::RejectionLog(pg::Connection& catalog, const Definition& definition)
    : catalog_(catalog), definition_(definition)
{
    load();
}

void RejectionLog::load()
{
    const pg::Result rows = catalog_.query(
        "SELECT row_key, coalesce((SELECT h ->> 1 FROM jsonb_array_elements(headers) h WHERE h ->> 0 = $2 LIMIT 1), '') "
        "FROM keyshift.rejection WHERE projection = $1 AND row_key <> ''",
        {definition_.name, kHeaderPosition});
    for (int row = 0; row < rows.rows(); ++row) {
        SourcePosition& newest = newest_[std::string(rows.text(row, 0))];
        newest = std::max(newest, position_of(rows.text(row, 1)));
    }
    recount();
}

void RejectionLog::recount()
{
    count_ = count_rejections(catalog_, definition_.name);
}

void RejectionLog::add(const kafka::Message& message, const Rejection& rejection)
{
    catalog_.query(
        "INSERT INTO keyshift.rejection (projection, topic, partition, kafka_offset, reason, detail, key, value, headers, row_key) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING",
        {definition_.name, message.topic, std::to_string(message.partition), std::to_string(message.offset),
         rejection.reason, rejection.detail, storable(message.key), storable(message.value), headers_of(message).dump(),
         rejection.row});
    if (!rejection.row.empty()) {
        SourcePosition& newest = newest_[rejection.row];
        newest = std::max(newest, position_of(message.header(kHeaderPosition).value_or("")));
    }
    recount();
    log::warning("projections", "projection={} topic={} partition={} offset={} rejected: {}", definition_.name,
                 message.topic, message.partition, message.offset, rejection.reason);
}

std::size_t RejectionLog::heal(std::span<const std::pair<RowChange, const kafka::Message*>> rows)
{
    if (newest_.empty()) {
        return 0;
    }
    Json healed = Json::array();
    for (const auto& [change, message] : rows) {
        const auto found = newest_.find(row_identity(definition_, change.base));
        if (found != newest_.end() && change.version > found->second) {
            healed.push_back(found->first);
            newest_.erase(found);
        }
    }
    if (healed.empty()) {
        return 0;
    }
    const std::int64_t gone = catalog_
                                  .query("DELETE FROM keyshift.rejection WHERE projection = $1 AND row_key IN "
                                         "(SELECT jsonb_array_elements_text($2::jsonb))",
                                         {definition_.name, healed.dump()})
                                  .affected();
    recount();
    log::info("projections", "projection={} newer versions of their rows healed {} rejections", definition_.name, gone);
    return static_cast<std::size_t>(gone);
}

} // namespace keyshift::projections
