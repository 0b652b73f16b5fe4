#include "catalog/split/split_record.hpp"

#include "catalog/rows.hpp"
#include "core/error.hpp"

#include <fmt/format.h>

namespace keyshift::catalog {

namespace {

std::string number_text(BucketId bucket)
{
    return std::to_string(number(bucket));
}

std::string array_of(const std::vector<BucketId>& buckets)
{
    std::vector<std::string> texts;
    for (const BucketId bucket : buckets) {
        texts.push_back(number_text(bucket));
    }
    return write_array(texts);
}

} // namespace

std::string Split::subject() const
{
    return fmt::format("splitting bucket {} of {} on {}", number(bucket), group, node);
}

std::vector<BucketId> Split::all() const
{
    std::vector<BucketId> buckets{bucket};
    buckets.insert(buckets.end(), made.begin(), made.end());
    return buckets;
}

std::optional<Split> unfinished_split(pg::Connection& catalog, const std::string& group)
{
    const pg::Result rows =
        catalog.query("SELECT id, bucket, made, node, epoch, token FROM keyshift.split WHERE group_name = $1 "
                      "AND state = 'running'",
                      {group});
    if (rows.rows() == 0) {
        return std::nullopt;
    }
    Split split;
    split.id = rows.integer(0, 0);
    split.group = group;
    split.bucket = static_cast<BucketId>(rows.integer(0, 1));
    for (const std::string& bucket : read_array(rows.text(0, 2))) {
        split.made.push_back(BucketId{static_cast<std::uint32_t>(std::stoul(bucket))});
    }
    split.node = rows.text(0, 3);
    split.epoch = static_cast<Epoch>(rows.integer(0, 4));
    split.token = rows.text(0, 5);
    return split;
}

void refuse_unfinished_split(pg::Connection& catalog, const std::string& what, const std::string& group)
{
    if (const auto split = unfinished_split(catalog, group)) {
        throw RefusedError({what, fmt::format("{} did not come to its end", split->subject()),
                            fmt::format("`keyshift reshard split --group {} --bucket {}` finishes it.", group,
                                        number(split->bucket))});
    }
}

void refuse_unfinished_split(pg::Connection& catalog, const std::string& what)
{
    const pg::Result rows = catalog.query("SELECT group_name FROM keyshift.split WHERE state = 'running' LIMIT 1");
    if (rows.rows() > 0) {
        refuse_unfinished_split(catalog, what, std::string(rows.text(0, 0)));
    }
}

Split begin_split(pg::Connection& catalog, Split split)
{
    const pg::Result rows = catalog.query(
        "INSERT INTO keyshift.split (group_name, bucket, made, node, epoch, token) "
        "SELECT $1, b.bucket, $3::int[], b.node, b.epoch + 1, gen_random_uuid()::text FROM keyshift.bucket b "
        "WHERE b.group_name = $1 AND b.bucket = $2::int AND b.node = $4 RETURNING id, epoch, token",
        {split.group, number_text(split.bucket), array_of(split.made), split.node});
    if (rows.rows() == 0) {
        throw TransientError({split.subject(), "the bucket is not on that node any more", "Repeat the command."});
    }
    split.id = rows.integer(0, 0);
    split.epoch = static_cast<Epoch>(rows.integer(0, 1));
    split.token = rows.text(0, 2);
    return split;
}

void record_split(pg::Connection& catalog, const Split& split, Lsn opened_at)
{
    const std::string bucket = number_text(split.bucket);
    const std::string made = array_of(split.made);
    const std::string epoch = std::to_string(number(split.epoch));
    catalog.query("UPDATE keyshift.bucket SET epoch = $3::bigint WHERE group_name = $1 AND bucket = $2::int",
                  {split.group, bucket, epoch});
    catalog.query("INSERT INTO keyshift.bucket (group_name, bucket, node, epoch) SELECT $1, b, $3, $4::bigint "
                  "FROM unnest($2::int[]) b ON CONFLICT DO NOTHING",
                  {split.group, made, split.node, epoch});
    catalog.query("INSERT INTO keyshift.bucket_history (group_name, bucket, epoch, node, open_lsn) "
                  "SELECT $1, b, $3::bigint, $4, $5::pg_lsn FROM unnest($2::int[] || $6::int) b ON CONFLICT DO NOTHING",
                  {split.group, made, epoch, split.node, opened_at.to_string(), bucket});
    catalog.query(
        "INSERT INTO keyshift.pin (group_name, bucket, node) SELECT p.group_name, b, p.node FROM keyshift.pin p, "
        "unnest($3::int[]) b WHERE p.group_name = $1 AND p.bucket = $2::int ON CONFLICT DO NOTHING",
        {split.group, bucket, made});
    notify(catalog, "table");
}

void end_split(pg::Connection& catalog, const Split& split, bool done)
{
    catalog.query("UPDATE keyshift.split SET state = $2, finished_at = now() WHERE id = $1::bigint",
                  {std::to_string(split.id), done ? "done" : "undone"});
}

} // namespace keyshift::catalog
