#include "projections/backfill.hpp"

#include "core/backoff.hpp"
#include "core/failpoint.hpp"
#include "core/json.hpp"
#include "projections/horizon.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace keyshift::projections {

using namespace std::chrono_literals;

namespace {

TransientError stopping(const Definition& definition)
{
    return TransientError(
        {"building projection " + definition.name, "the daemon stops", "It goes on at its next start."});
}

} // namespace

Backfill::Source Backfill::source()
{
    const pg::Result row =
        catalog_.query("SELECT coalesce(group_name, ''), coalesce(node, '') FROM keyshift.captured_table "
                       "WHERE schema_name = $1 AND table_name = $2",
                       {definition_.base.schema, definition_.base.name});
    if (row.rows() == 0) {
        throw FatalError({"building projection " + definition_.name,
                          "table " + definition_.base.to_string() + " is not captured any more",
                          "Drop the projection."});
    }
    const std::string group(row.text(0, 0));
    return {group, group.empty() ? BucketLayout(1) : catalog::group(catalog_, group).buckets,
            std::string(row.text(0, 1))};
}

std::string Backfill::owner(const Source& from, BucketId bucket)
{
    return from.group.empty() ? from.node : catalog::placement(catalog_, from.group).at(bucket).node;
}

bool Backfill::copy_bucket(const Source& from, const std::string& node, BucketId bucket, std::stop_token stop)
{
    pg::Connection connection(catalog::node(catalog_, node).connection("projection backfill"));
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
        // Computed for the rows that come, where one that an expression fails for does not end the scan.
        columns += (columns.empty() ? "" : ", ") + (column.computed.empty() ? text_of(column) : "NULL");
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
    copy_rows(connection, stop);
    if (!writers_->finish(stop)) {
        throw stopping(definition_);
    }
    return true;
}

void Backfill::copy_rows(pg::Connection& connection, std::stop_token stop)
{
    constexpr std::size_t kFetchBytes = 2U << 20U;
    std::size_t fetched = 100; // until it is known how wide they are
    while (!stop.stop_requested()) {
        const pg::Result rows = connection.query(fmt::format("FETCH {} FROM rows", fetched));
        std::vector<RowChange> changes(static_cast<std::size_t>(rows.rows()));
        std::size_t bytes = 1;
        for (int row = 0; row < rows.rows(); ++row) {
            BaseRow& base = changes[static_cast<std::size_t>(row)].base;
            base.reserve(static_cast<std::size_t>(rows.columns()));
            for (int column = 0; column < rows.columns(); ++column) {
                base.push_back(rows.optional_text(row, column));
                bytes += rows.text(row, column).size();
            }
        }
        if (changes.empty()) {
            return;
        }
        const std::size_t count = changes.size();
        fetched = std::clamp<std::size_t>(kFetchBytes * count / bytes, 1, limits_.batch_rows);
        writers_->put(std::move(changes), stop);
        failpoint("projection.backfill.chunk");
        if (!keep_to_rate(count, stop)) {
            break;
        }
    }
    throw stopping(definition_);
}

bool Backfill::keep_to_rate(std::size_t rows, std::stop_token stop)
{
    if (limits_.max_rate == 0) {
        return true;
    }
    using Clock = std::chrono::steady_clock;
    const auto cost = std::chrono::duration_cast<Clock::duration>(
        std::chrono::duration<double>(static_cast<double>(rows) / static_cast<double>(limits_.max_rate)));
    not_before_ = std::max(not_before_, Clock::now()) + cost;
    return sleep_for(std::chrono::ceil<std::chrono::milliseconds>(not_before_ - Clock::now()), stop);
}

/// With a synchronous standby a commit is decodable, and its event in Kafka, before any snapshot sees it. Whoever was in
/// progress when the start offsets were known must have ended.
bool Backfill::wait_visible(const std::string& node, std::stop_token stop)
{
    pg::Connection connection(catalog::node(catalog_, node).connection("projection backfill"));
    if (connection.query("SELECT current_setting('synchronous_standby_names')").text(0, 0).empty()) {
        return true;
    }
    const Horizon horizon(connection);
    Backoff backoff(10ms, 500ms);
    while (!horizon.passed(connection)) {
        if (!backoff.wait(stop)) {
            return false;
        }
    }
    return true;
}

void Backfill::mark_done(BucketId bucket)
{
    catalog_.query(
        "UPDATE keyshift.projection SET backfill = backfill || jsonb_build_object($2::text, true) WHERE id = $1",
        {std::to_string(id_), std::to_string(number(bucket))});
}

bool Backfill::copy_all(std::set<std::string> done, bool resumable, std::stop_token stop)
{
    for (const catalog::Node& node : catalog::nodes(catalog_)) {
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
    writers_ = std::make_unique<BackfillWriters>(catalog_settings_, definition_, owner_epoch_, limits_, std::nullopt);
    static_cast<void>(copy_all(std::move(done), true, std::move(stop)));
}

void Backfill::fill_nodes(const std::set<std::string>& nodes, std::stop_token stop)
{
    writers_ = std::make_unique<BackfillWriters>(catalog_settings_, definition_, owner_epoch_, limits_, nodes);
    if (copy_all({}, false, std::move(stop))) {
        catalog_.query(
            "UPDATE keyshift.projection SET filled_nodes = (SELECT jsonb_agg(DISTINCT n) FROM jsonb_array_elements(filled_nodes || $2) n) "
            "WHERE id = $1",
            {std::to_string(id_), nlohmann::json(nodes).dump()});
        catalog::notify(catalog_, "projection");
    }
}

} // namespace keyshift::projections
