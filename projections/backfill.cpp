#include "projections/backfill.hpp"

#include "core/backoff.hpp"
#include "core/failpoint.hpp"
#include "projections/rejection_log.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace keyshift::projections {

using namespace std::chrono_literals;

Backfill::Source Backfill::source()
{
    const pg::Result row =
        target_.catalog().query("SELECT coalesce(group_name, ''), coalesce(node, '') FROM keyshift.captured_table "
                                "WHERE schema_name = $1 AND table_name = $2",
                                {definition_.base.schema, definition_.base.name});
    if (row.rows() == 0) {
        throw FatalError({"building projection " + definition_.name,
                          "table " + definition_.base.to_string() + " is not captured any more",
                          "Drop the projection."});
    }
    const std::string group(row.text(0, 0));
    return {group, group.empty() ? BucketLayout(1) : catalog::group(target_.catalog(), group).buckets,
            std::string(row.text(0, 1))};
}

std::string Backfill::owner(const Source& from, BucketId bucket)
{
    return from.group.empty() ? from.node : catalog::placement(target_.catalog(), from.group).at(bucket).node;
}

bool Backfill::copy_bucket(const Source& from, const std::string& node, BucketId bucket, std::stop_token stop)
{
    pg::Connection connection(catalog::node(target_.catalog(), node).connection("projection backfill"));
    // One snapshot for the ownership and for the rows.
    pg::Transaction transaction(connection, pg::Transaction::Isolation::repeatable_read);
    if (!from.group.empty() &&
        connection
                .query("SELECT FROM keyshift.local_bucket WHERE group_name = $1 AND bucket = $2 AND state = 'open'",
                       {from.group, std::to_string(number(bucket))})
                .rows() == 0) {
        return false;
    }
    std::string columns;
    for (const BaseColumn& column : definition_.base_columns) {
        columns += (columns.empty() ? "" : ", ") + quote_identifier(column.name) + "::text";
    }
    const std::string table = from.group.empty() ? definition_.base.quoted()
                                                 : "ONLY " + catalog::leaf_name(definition_.base, bucket).quoted();
    const std::string where = definition_.condition.empty() ? "" : " WHERE " + definition_.condition;
    connection.query(fmt::format("DECLARE rows NO SCROLL CURSOR FOR SELECT {} FROM {} AS {}{}", columns, table,
                                 quote_identifier(definition_.alias), where));
    // The cursor's lock keeps the leaf. One that a split has put in its place since the snapshot has a part of the rows alone;
    // the server tells its modulus as of now.
    if (!from.group.empty() &&
        !connection
             .query("SELECT pg_get_partition_constraintdef($1::regclass) LIKE '%, ' || $2 || ', ' || $3 || ', %'",
                    {catalog::leaf_name(definition_.base, bucket).quoted(),
                     std::to_string(from.buckets.modulus(bucket)), std::to_string(number(bucket))})
             .boolean(0, 0)) {
        return false;
    }
    while (!stop.stop_requested()) {
        const pg::Result rows = connection.query(fmt::format("FETCH {} FROM rows", batch_rows_));
        std::vector<RowChange> changes;
        for (int row = 0; row < rows.rows(); ++row) {
            RowChange& change = changes.emplace_back();
            for (int column = 0; column < rows.columns(); ++column) {
                change.base.push_back(rows.optional_text(row, column));
            }
        }
        if (changes.empty()) {
            return true;
        }
        write_or_reject(changes, stop);
        failpoint("projection.backfill.chunk");
    }
    throw TransientError(
        {"building projection " + definition_.name, "the daemon stops", "It goes on at its next start."});
}

/// As with events: halves of the piece find the row that PostgreSQL does not take, and its neighbours are written.
void Backfill::write_or_reject(std::span<RowChange> changes, std::stop_token stop)
{
    std::vector<RowChange*> pointers;
    for (RowChange& change : changes) {
        pointers.push_back(&change);
    }
    try {
        writer_.write(std::move(pointers), {}, stop);
    } catch (const pg::SqlError& error) {
        if (!blames_the_row(error.sqlstate())) {
            throw;
        }
        if (changes.size() > 1) {
            write_or_reject(changes.first(changes.size() / 2), stop);
            write_or_reject(changes.subspan(changes.size() / 2), stop);
            return;
        }
        add_rejected_row(target_.catalog(), definition_, changes.front(), error.parts().why);
        if (++rejected_ >= max_rejections_) {
            throw FatalError(
                {"building projection " + definition_.name,
                 fmt::format("{} rows of {} could not be used (projection.max_rejections)", rejected_,
                             definition_.base.to_string()),
                 "`keyshift rejections list " + definition_.name + "` says why. Mend the cause and resume."});
        }
    }
}

/// With a synchronous standby a commit is decodable, and its event in Kafka, before any snapshot sees it. Whoever was in
/// progress when the start offsets were known must have ended.
bool Backfill::wait_visible(const std::string& node, std::stop_token stop)
{
    pg::Connection connection(catalog::node(target_.catalog(), node).connection("projection backfill"));
    if (connection.query("SELECT current_setting('synchronous_standby_names')").text(0, 0).empty()) {
        return true;
    }
    const std::string barrier(connection.query("SELECT pg_snapshot_xmax(pg_current_snapshot())::text").text(0, 0));
    Backoff backoff(10ms, 500ms);
    while (!connection.query("SELECT pg_snapshot_xmin(pg_current_snapshot()) >= $1::xid8", {barrier}).boolean(0, 0)) {
        if (!backoff.wait(stop)) {
            return false;
        }
    }
    return true;
}

void Backfill::mark_done(BucketId bucket)
{
    target_.catalog().query(
        "UPDATE keyshift.projection SET backfill = backfill || jsonb_build_object($2::text, true) WHERE id = $1",
        {std::to_string(id_), std::to_string(number(bucket))});
}

bool Backfill::copy_all(std::set<std::string> done, bool resumable, std::stop_token stop)
{
    for (const catalog::Node& node : catalog::nodes(target_.catalog())) {
        const bool active = node.state == "active" || node.state == "draining";
        if (active && !wait_visible(node.name, stop)) {
            return false;
        }
    }
    const auto next = [&](const Source& from) {
        return std::ranges::find_if(from.buckets.numbers(),
                                    [&](BucketId bucket) { return !done.contains(std::to_string(number(bucket))); });
    };
    // The buckets are looked up each time: one may be split meanwhile.
    Backoff backoff(20ms, 1000ms);
    for (Source from = source(); next(from) != from.buckets.numbers().end(); from = source()) {
        const BucketId bucket = *next(from);
        if (copy_bucket(from, owner(from, bucket), bucket, stop)) {
            if (resumable) {
                mark_done(bucket);
            }
            done.insert(std::to_string(number(bucket)));
            backoff.reset();
        } else if (!backoff.wait(stop)) {
            return false;
        }
    }
    return true;
}

void Backfill::run(std::set<std::string> done, std::stop_token stop)
{
    static_cast<void>(copy_all(std::move(done), true, std::move(stop)));
}

void Backfill::fill_nodes(const std::set<std::string>& nodes, std::stop_token stop)
{
    target_.restrict_to(nodes);
    if (copy_all({}, false, std::move(stop))) {
        target_.catalog().query(
            "UPDATE keyshift.projection SET filled_nodes = (SELECT jsonb_agg(DISTINCT n) FROM jsonb_array_elements(filled_nodes || $2) n) "
            "WHERE id = $1",
            {std::to_string(id_), nlohmann::json(nodes).dump()});
        catalog::notify(target_.catalog(), "projection");
    }
}

} // namespace keyshift::projections
