#include "projections/batch_writer.hpp"
#include "projections/commands/settled_rows.hpp"
#include "projections/event_mapper.hpp"
#include "projections/projection_record.hpp"
#include "projections/projections.hpp"
#include "projections/rejection_log.hpp"

#include "core/error.hpp"
#include "core/json.hpp"

#include <fmt/core.h>

namespace keyshift::projections {

namespace {

using Json = nlohmann::json;

[[noreturn]] void refuse_unknown(std::int64_t id)
{
    throw RefusedError({fmt::format("rejection {}", id),
                        "there is none of this number (a newer version of its row may "
                        "have healed it)",
                        "`keyshift rejections list` has them all."});
}

kafka::Message message_of(const pg::Result& row)
{
    kafka::Message message;
    message.topic = row.text(0, 1);
    message.partition = static_cast<std::int32_t>(row.integer(0, 2));
    message.offset = row.integer(0, 3);
    message.key = row.optional_text(0, 4);
    message.value = row.optional_text(0, 5);
    for (const Json& header : Json::parse(row.text(0, 6))) {
        message.headers.emplace_back(header.at(0), header.at(1));
    }
    return message;
}

/// "applied" or "stale", or why not.
std::variant<std::string, Rejection> write(pg::Connection& catalog, const Definition& definition,
                                           std::vector<RowChange> changes, std::stop_token stop)
{
    Target target(catalog.settings(), definition, Target::Progress::elsewhere);
    std::vector<RowChange*> usable;
    for (RowChange& change : changes) {
        change.key_hash = target.key_hash(change);
        if (!change.key_hash) {
            return Rejection{"bad_value", "a key value does not read as its type"};
        }
        usable.push_back(&change);
    }
    try {
        const Written written = BatchWriter(definition, target, 0).write(std::move(usable), {}, std::move(stop));
        return written.applied > 0 ? "applied" : "stale";
    } catch (const pg::SqlError& error) {
        if (!blames_the_row(error.sqlstate())) {
            throw;
        }
        return Rejection{"refused_by_postgresql", error.parts().why};
    }
}

std::variant<std::string, Rejection> apply(pg::Connection& catalog, const Definition& definition,
                                           const kafka::Message& message, std::stop_token stop)
{
    ComputedKeys keys(catalog.settings(), definition);
    Mapped mapped = EventMapper(definition, &keys).map(message);
    if (auto* rejection = std::get_if<Rejection>(&mapped)) {
        static_cast<void>(write(catalog, definition, std::move(rejection->left), std::move(stop)));
        return *rejection;
    }
    return write(catalog, definition, std::get<std::vector<RowChange>>(std::move(mapped)), std::move(stop));
}

/// Of a row that the backfill could not use: the row as it is now.
std::variant<std::string, Rejection> apply_row(pg::Connection& catalog, const Definition& definition,
                                               const std::string& row_key, std::stop_token stop)
{
    std::optional<SettledRow> row;
    try {
        row = SettledRows(catalog, definition).read({row_key}, stop).front();
    } catch (const pg::SqlError& error) {
        if (!blames_the_row(error.sqlstate())) {
            throw;
        }
        return Rejection{"refused_by_postgresql", error.parts().why};
    }
    if (!row->present) {
        return "stale";
    }
    return write(catalog, definition, {RowChange{row->base, row->version, true, {}, {}}}, std::move(stop));
}

void forget(pg::Connection& catalog, const std::string& projection, std::int64_t id)
{
    catalog.query("DELETE FROM keyshift.rejection WHERE id = $1", {std::to_string(id)});
    count_rejections(catalog, projection);
}

} // namespace

Json rejections(pg::Connection& catalog, const std::string& projection)
{
    return Json::parse(catalog
                           .query(R"(
SELECT coalesce(json_agg(json_build_object('id', id, 'projection', shown, 'topic', topic, 'partition', partition,
       'offset', kafka_offset, 'reason', reason, 'detail', detail, 'row', nullif(row_key, ''), 'at', at, 'tried_at', tried_at)
       ORDER BY id), '[]')::text
FROM (SELECT r.*, coalesce((SELECT p.part_of FROM keyshift.projection p WHERE p.name = r.projection AND p.serving), r.projection) AS shown
      FROM keyshift.rejection r) r WHERE $1 = '' OR shown = $1 OR projection = $1)",
                                  {projection})
                           .text(0, 0));
}

Json rejection(pg::Connection& catalog, std::int64_t id)
{
    const pg::Result found = catalog.query(R"(
SELECT json_build_object('id', id, 'projection', projection, 'topic', topic, 'partition', partition, 'offset', kafka_offset,
       'reason', reason, 'detail', detail, 'row', nullif(row_key, ''), 'at', at, 'tried_at', tried_at,
       'headers', (SELECT coalesce(jsonb_object_agg(h ->> 0, h ->> 1), '{}') FROM jsonb_array_elements(headers) h),
       'key', key, 'value', value)::text
FROM keyshift.rejection WHERE id = $1::bigint)",
                                           {std::to_string(id)});
    if (found.rows() == 0) {
        refuse_unknown(id);
    }
    return Json::parse(found.text(0, 0));
}

Json retry_rejection(pg::Connection& catalog, std::int64_t id, std::stop_token stop)
{
    const pg::Result row = catalog.query(
        "SELECT projection, topic, partition, kafka_offset, key, value, headers::text, row_key FROM keyshift.rejection WHERE id = $1",
        {std::to_string(id)});
    if (row.rows() == 0) {
        refuse_unknown(id);
    }
    const std::string projection(row.text(0, 0));
    const Definition definition = read_projection(catalog, projection).definition;
    const auto outcome = row.text(0, 1).empty()
                             ? apply_row(catalog, definition, std::string(row.text(0, 7)), std::move(stop))
                             : apply(catalog, definition, message_of(row), std::move(stop));
    if (const auto* rejection = std::get_if<Rejection>(&outcome)) {
        catalog.query("UPDATE keyshift.rejection SET reason = $2, detail = $3, tried_at = now() WHERE id = $1",
                      {std::to_string(id), rejection->reason, rejection->detail});
        return {{"id", id},
                {"projection", projection},
                {"outcome", "rejected"},
                {"reason", rejection->reason},
                {"detail", rejection->detail}};
    }
    forget(catalog, projection, id);
    return {{"id", id}, {"projection", projection}, {"outcome", std::get<std::string>(outcome)}};
}

void drop_rejection(pg::Connection& catalog, std::int64_t id)
{
    const pg::Result row =
        catalog.query("SELECT projection FROM keyshift.rejection WHERE id = $1", {std::to_string(id)});
    if (row.rows() == 0) {
        refuse_unknown(id);
    }
    forget(catalog, std::string(row.text(0, 0)), id);
}

} // namespace keyshift::projections
