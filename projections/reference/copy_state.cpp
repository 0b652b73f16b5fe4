#include "projections/reference/copy_state.hpp"

#include "catalog/rows.hpp"
#include "core/error.hpp"
#include "core/json.hpp"

#include <fmt/core.h>

namespace keyshift::projections {

namespace {

using Json = nlohmann::json;

std::string to_text(const TopicOffsets& offsets)
{
    Json json = Json::object();
    for (const auto& [topic, partitions] : offsets) {
        for (const auto& [partition, offset] : partitions) {
            json[topic][std::to_string(partition)] = offset;
        }
    }
    return json.dump();
}

TopicOffsets read_offsets(std::string_view text)
{
    TopicOffsets offsets;
    const Json json = Json::parse(text);
    for (const auto& [topic, partitions] : json.items()) {
        for (const auto& [partition, offset] : partitions.items()) {
            offsets[topic][std::stoi(partition)] = offset.get<std::int64_t>();
        }
    }
    return offsets;
}

} // namespace

bool CopyState::has(const ReferenceEvent& event) const
{
    const Lsn commit = event.position.commit_lsn;
    if (commit < applied) {
        return true;
    }
    if (event.kind == ReferenceEvent::Kind::truncate) {
        return commit < filled;
    }
    return commit < complete && held && held->holds(event.xid);
}

CopyOwner::CopyOwner(pg::Connection& node, std::vector<QualifiedName> tables) : node_(node)
{
    std::vector<std::string> quoted;
    for (const QualifiedName& table : tables) {
        quoted.push_back(table.quoted());
    }
    const pg::Result rows = node.query(
        "WITH mine AS (SELECT t.name, r.root FROM pg_catalog.unnest($1::text[]) AS t(name) LEFT JOIN keyshift.local_reference r "
        "    ON r.root = pg_catalog.to_regclass(t.name)), "
        "next AS (SELECT coalesce(max(owner_epoch), 0) + 1 AS epoch FROM keyshift.local_reference), "
        "taken AS (UPDATE keyshift.local_reference r SET owner_epoch = next.epoch FROM next, mine WHERE r.root = mine.root RETURNING r.token) "
        "SELECT (SELECT epoch FROM next), (SELECT min(token) FROM taken), (SELECT min(name) FROM mine WHERE root IS NULL)",
        {catalog::write_array(quoted)});
    if (!rows.is_null(0, 2)) {
        throw RefusedError({fmt::format("keeping reference tables on {}", node.name()),
                            fmt::format("it has no copy of {}", rows.text(0, 2)),
                            "Run `keyshift table reference` for it once more."});
    }
    epoch_ = rows.text(0, 0);
    node.query("SELECT pg_catalog.set_config('keyshift.mover', $1, false)", {rows.text(0, 1)});
}

CopyState CopyOwner::load(const QualifiedName& table) const
{
    const pg::Result rows = node_.query(
        "SELECT state = 'live', coalesce(shape, ''), snapshot, coalesce(filled_lsn, '0/0'), complete_lsn, coalesce(applied_lsn, '0/0'), "
        "coalesce(timeline, 0), offsets::text FROM keyshift.local_reference WHERE root = $1::regclass",
        {table.quoted()});
    CopyState state;
    if (rows.rows() == 0) {
        return state;
    }
    state.live = rows.boolean(0, 0);
    state.shape = rows.text(0, 1);
    state.filled = rows.lsn(0, 3);
    state.applied = rows.lsn(0, 5);
    state.timeline = static_cast<std::uint32_t>(rows.integer(0, 6));
    state.offsets = read_offsets(rows.text(0, 7));
    if (!rows.is_null(0, 2) && !rows.is_null(0, 4)) {
        state.held.emplace(rows.text(0, 2));
        state.complete = rows.lsn(0, 4);
    }
    return state;
}

void CopyOwner::check(const pg::Result& update, const QualifiedName& table) const
{
    if (update.affected() != 1) {
        throw TransientError({fmt::format("keeping {} on {}", table.to_string(), node_.name()),
                              "another keeper has taken the copy over, or it is gone", "This one starts anew."});
    }
}

void CopyOwner::progress(const QualifiedName& table, const CopyState& state) const
{
    const std::string root = table.quoted();
    const std::string offsets = to_text(state.offsets);
    const std::string applied = state.applied.to_string();
    const std::string timeline = std::to_string(state.timeline);
    const std::vector<pg::Parameter> parameters{root, epoch_, applied, timeline, offsets};
    check(
        node_.run_prepared(
            "reference_progress",
            "UPDATE keyshift.local_reference SET applied_lsn = $3::pg_lsn, timeline = $4::bigint, offsets = $5::jsonb, "
            "state = CASE WHEN complete_lsn <= $3::pg_lsn THEN 'live' ELSE state END "
            "WHERE root = $1::regclass AND owner_epoch = $2::bigint AND complete_lsn IS NOT NULL",
            parameters),
        table);
}

void CopyOwner::filled(const QualifiedName& table, const CopyState& state, const std::string& snapshot) const
{
    check(
        node_.query(
            "UPDATE keyshift.local_reference SET state = 'filling', shape = $3, snapshot = $4, filled_lsn = $5::pg_lsn, "
            "complete_lsn = $6::pg_lsn, applied_lsn = NULL, timeline = NULL, offsets = $7::jsonb "
            "WHERE root = $1::regclass AND owner_epoch = $2::bigint",
            {table.quoted(), epoch_, state.shape, snapshot, state.filled.to_string(), state.complete.to_string(),
             to_text(state.offsets)}),
        table);
}

void CopyOwner::fill_again(const QualifiedName& table) const
{
    check(node_.query("UPDATE keyshift.local_reference SET state = 'filling', complete_lsn = NULL, offsets = '{}' "
                      "WHERE root = $1::regclass AND owner_epoch = $2::bigint",
                      {table.quoted(), epoch_}),
          table);
}

} // namespace keyshift::projections
