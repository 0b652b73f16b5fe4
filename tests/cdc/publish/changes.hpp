#pragma once
/// Changes of a small table, as the stream hands them to the publisher.

#include "cdc/publish/event_publisher.hpp"
#include "tests/cdc/publish/schemas.hpp"

#include <string>
#include <string_view>
#include <utility>

namespace keyshift::test {

inline cdc::Datum text(std::string_view value)
{
    return {cdc::Datum::Kind::text, value};
}
inline constexpr cdc::Datum kNull{cdc::Datum::Kind::null, {}};
inline constexpr cdc::Datum kUnchanged{cdc::Datum::Kind::unchanged_toast, {}};

/// public.t (id int PRIMARY KEY, v text NOT NULL, n text)
inline TableSchema small_table(const std::string& name = "t")
{
    TableSchema table;
    table.root = {"public", name};
    table.columns = {column("id", type("int4"), true), column("v", type("text"), false, true),
                     column("n", type("text"))};
    table.key = {0};
    table.version = 1;
    return table;
}

inline cdc::EventContext context(std::uint64_t commit_lsn = 200, std::uint64_t seq = 0)
{
    cdc::EventContext made;
    made.origin = {"n1", BucketId{17}};
    made.position = {Epoch{3}, Lsn{commit_lsn}, seq};
    made.lsn = Lsn{commit_lsn - 10};
    made.last_commit_lsn = Lsn{90};
    made.commit_time_us = 1'478'267'490'123'456;
    made.xid = 733;
    return made;
}

inline cdc::Change insert(cdc::Tuple row)
{
    cdc::Change change;
    change.kind = cdc::ChangeKind::insert;
    change.after = std::move(row);
    return change;
}

inline cdc::Change update(std::optional<cdc::Tuple> before, bool old_is_key, cdc::Tuple after)
{
    cdc::Change change;
    change.kind = cdc::ChangeKind::update;
    change.before = std::move(before);
    change.old_is_key = old_is_key;
    change.after = std::move(after);
    return change;
}

inline cdc::Change remove(cdc::Tuple before, bool old_is_key = true)
{
    cdc::Change change;
    change.kind = cdc::ChangeKind::remove;
    change.before = std::move(before);
    change.old_is_key = old_is_key;
    return change;
}

} // namespace keyshift::test
