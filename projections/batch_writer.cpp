#include "projections/batch_writer.hpp"

#include "core/backoff.hpp"
#include "core/failpoint.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <set>

namespace keyshift::projections {

namespace {

using namespace std::chrono_literals;
constexpr std::uint32_t kTextArrayOid = 1009;
constexpr std::uint32_t kBigintArrayOid = 1016;
constexpr std::uint32_t kUuidArrayOid = 2951;

/// PostgreSQL's text form of an array.
std::string text_array(const std::vector<const std::string*>& values)
{
    std::string out = "{";
    for (const std::string* value : values) {
        out += out.size() == 1 ? "" : ",";
        if (value == nullptr) {
            out += "NULL";
            continue;
        }
        out += '"';
        for (const char letter : *value) {
            out += letter == '"' || letter == '\\' ? "\\" : "";
            out += letter;
        }
        out += '"';
    }
    return out + "}";
}

} // namespace

BatchWriter::BatchWriter(const Definition& definition, Target& target, std::int64_t owner_epoch)
    : definition_(definition), target_(target), owner_epoch_(owner_epoch),
      upsert_live_(upsert_statement(definition, Batch::live)), upsert_any_(upsert_statement(definition, Batch::any)),
      cleaning_(cleaning_statement(definition))
{
}

/// One version of each register, in the order of the register: PostgreSQL refuses to touch a row twice in one statement, and
/// two writers that lock in the same order never wait for each other in a circle.
std::vector<RowChange*> BatchWriter::newest_of_each(std::vector<RowChange*> changes) const
{
    std::vector<std::size_t> columns;
    for (const auto* names : {&definition_.key_base, &definition_.pk}) {
        for (const std::string& name : *names) {
            columns.push_back(definition_.base_column(name));
        }
    }
    const auto compare = [&](const RowChange* a, const RowChange* b) {
        for (const std::size_t column : columns) {
            if (const auto order = a->base[column] <=> b->base[column]; order != 0) {
                return order;
            }
        }
        return std::strong_ordering::equal;
    };
    std::stable_sort(changes.begin(), changes.end(), [&](const RowChange* a, const RowChange* b) {
        const auto order = compare(a, b);
        return order != 0 ? order < 0 : a->version > b->version;
    });
    const auto same = [&](const RowChange* a, const RowChange* b) {
        return compare(a, b) == 0;
    };
    changes.erase(std::unique(changes.begin(), changes.end(), same), changes.end());
    return changes;
}

/// A column that the WAL did not carry has not changed in this event: the source has it, or something newer whose own event is
/// still to come and wins by its version.
void BatchWriter::fill_absent(RowChange& change)
{
    std::string columns;
    std::string condition;
    std::vector<pg::Parameter> key;
    for (const std::size_t index : change.absent) {
        columns += (columns.empty() ? "" : ", ") + quote_identifier(definition_.base_columns[index].name) + "::text";
    }
    for (const std::string& name : definition_.pk) {
        const BaseColumn& column = definition_.base_columns[definition_.base_column(name)];
        key.emplace_back(change.base[definition_.base_column(name)]);
        condition += fmt::format("{}{} = ${}::{}", condition.empty() ? "" : " AND ", quote_identifier(name), key.size(),
                                 column.type);
    }
    std::vector<std::string> nodes = target_.nodes();
    std::stable_partition(nodes.begin(), nodes.end(),
                          [&](const std::string& node) { return node == change.origin_node; });
    for (const std::string& node : nodes) {
        const pg::Result row = target_.connection(node).query(
            fmt::format("SELECT {} FROM {} WHERE {}", columns, definition_.base.quoted(), condition), key);
        if (row.rows() == 1) {
            for (std::size_t at = 0; at < change.absent.size(); ++at) {
                change.base[change.absent[at]] = row.optional_text(0, static_cast<int>(at));
            }
            return;
        }
    }
    // The row is gone: its delete is on the way.
}

BatchWriter::Rows BatchWriter::lock_open_buckets(pg::Connection& connection, const Rows& rows, Rows& refused) const
{
    std::set<std::uint32_t> buckets;
    for (const RowChange* row : rows) {
        buckets.insert(number(target_.bucket_of(*row)));
    }
    std::string numbers;
    for (const std::uint32_t bucket : buckets) {
        numbers += fmt::format("{}{}", numbers.empty() ? "{" : ",", bucket);
    }
    const std::vector<pg::Parameter> parameters{definition_.group, numbers += "}"};
    // Totals are what they were and what came or went: of two writers of a group (the stream, the backfill, a repair) the
    // second one must begin its statement behind the first one's commit.
    const pg::Result open = connection.run_prepared(
        definition_.aggregation ? "aggregate_buckets" : "projection_buckets",
        std::string(
            "SELECT bucket FROM keyshift.local_bucket WHERE group_name = $1 AND bucket = ANY($2::int[]) AND state = 'open' "
            "ORDER BY bucket FOR ") +
            (definition_.aggregation ? "NO KEY UPDATE" : "SHARE"),
        parameters);
    std::set<std::uint32_t> owned;
    for (int row = 0; row < open.rows(); ++row) {
        owned.insert(static_cast<std::uint32_t>(open.integer(row, 0)));
    }
    Rows accepted;
    for (const RowChange* row : rows) {
        (owned.contains(number(target_.bucket_of(*row))) ? accepted : refused).push_back(row);
    }
    return accepted;
}

/// The parameters of an upsert: one array a base column, then epoch, LSN, seq, live.
std::vector<BatchWriter::Array> BatchWriter::arrays_of(const Rows& rows) const
{
    std::vector<Array> arrays;
    std::vector<const std::string*> column(rows.size());
    for (std::size_t index = 0; index < definition_.base_columns.size(); ++index) {
        for (std::size_t at = 0; at < rows.size(); ++at) {
            const auto& value = rows[at]->base[index];
            column[at] = value ? &*value : nullptr;
        }
        if (definition_.base_columns[index].type != "uuid") {
            arrays.push_back({binary_text_array(column), kTextArrayOid, true});
        } else if (auto uuids = binary_uuid_array(column)) {
            arrays.push_back({std::move(*uuids), kUuidArrayOid, true});
        } else {
            arrays.push_back({text_array(column), kUuidArrayOid, false}); // PostgreSQL says which one is wrong
        }
    }
    std::vector<std::uint64_t> numbers(rows.size());
    const auto add = [&](auto number_of) {
        std::transform(rows.begin(), rows.end(), numbers.begin(), number_of);
        arrays.push_back({binary_bigint_array(numbers), kBigintArrayOid, true});
    };
    add([](const RowChange* row) { return number(row->version.epoch); });
    add([](const RowChange* row) { return row->version.commit_lsn.value; });
    add([](const RowChange* row) { return row->version.seq; });
    static const std::string yes = "t";
    static const std::string no = "f";
    std::transform(rows.begin(), rows.end(), column.begin(),
                   [](const RowChange* row) { return row->live ? &yes : &no; });
    arrays.push_back({binary_text_array(column), kTextArrayOid, true});
    return arrays;
}

void BatchWriter::write_rows(pg::Connection& connection, const Rows& rows, Written& written) const
{
    const std::vector<Array> arrays = arrays_of(rows);
    std::vector<pg::Parameter> parameters;
    for (const Array& array : arrays) {
        parameters.push_back(array.binary ? pg::Parameter(std::string_view(array.bytes), array.type)
                                          : pg::Parameter(array.bytes));
    }
    const bool all_live = std::all_of(rows.begin(), rows.end(), [](const RowChange* row) { return row->live; });
    const pg::Result done = connection.run_prepared((all_live ? "upsert_live_" : "upsert_any_") + definition_.name,
                                                    all_live ? upsert_live_ : upsert_any_, parameters);
    const std::int64_t applied = cleaning_.empty() ? done.affected() : done.integer(0, 0);
    if (!cleaning_.empty() && done.integer(0, 1) > 0) {
        connection.run_prepared("empty_groups_" + definition_.name, cleaning_, parameters);
    }
    written.applied += applied;
    written.stale += static_cast<std::int64_t>(rows.size()) - applied;
}

void BatchWriter::write_progress(pg::Connection& connection, const Offsets& progress) const
{
    if (progress.empty()) {
        return;
    }
    std::vector<const std::string*> topics;
    std::vector<std::uint64_t> partitions;
    std::vector<std::uint64_t> offsets;
    for (const auto& [partition, offset] : progress) {
        topics.push_back(&partition.first);
        partitions.push_back(static_cast<std::uint64_t>(partition.second));
        offsets.push_back(static_cast<std::uint64_t>(offset));
    }
    const std::string topic_array = binary_text_array(topics);
    const std::string partition_array = binary_bigint_array(partitions);
    const std::string offset_array = binary_bigint_array(offsets);
    const std::string generation = std::to_string(definition_.generation);
    const std::string epoch = std::to_string(owner_epoch_);
    const pg::Result rows = connection.run_prepared(
        "projection_progress",
        "INSERT INTO keyshift.projection_progress AS p (projection, generation, topic, partition, next_offset, owner_epoch) "
        "SELECT $1, $2, topic, partition, next_offset, $3 FROM unnest($4::text[], $5::bigint[], $6::bigint[]) AS u(topic, partition, next_offset) "
        "ON CONFLICT (projection, generation, topic, partition) DO UPDATE SET next_offset = excluded.next_offset, owner_epoch = excluded.owner_epoch "
        "WHERE p.owner_epoch <= excluded.owner_epoch",
        std::vector<pg::Parameter>{definition_.name,
                                   generation,
                                   epoch,
                                   {std::string_view(topic_array), kTextArrayOid},
                                   {std::string_view(partition_array), kBigintArrayOid},
                                   {std::string_view(offset_array), kBigintArrayOid}});
    if (rows.affected() != static_cast<std::int64_t>(progress.size())) {
        throw TransientError({"writing projection " + definition_.name,
                              "another runner has taken it over on " + connection.name(), "This one starts anew."});
    }
}

BatchWriter::Rows BatchWriter::write_node(const std::string& node, const Rows& rows, const Offsets& progress,
                                          Written& written)
{
    Rows refused;
    pg::Connection& connection = target_.connection(node);
    pg::Transaction transaction(connection);
    const Rows accepted = rows.empty() || definition_.everywhere ? rows : lock_open_buckets(connection, rows, refused);
    if (!accepted.empty()) {
        write_rows(connection, accepted, written);
    }
    // A node's progress covers what routes to it; a restart begins at the least of all nodes.
    if (refused.empty()) {
        write_progress(connection, progress);
    }
    failpoint("projection.committing");
    transaction.commit();
    return refused;
}

BatchWriter::Rows BatchWriter::write_round(const Rows& rows, const Offsets& progress, Written& written)
{
    std::map<std::string, Rows> by_node;
    for (const std::string& node : progress.empty() ? std::vector<std::string>{} : target_.nodes()) {
        by_node[node];
    }
    for (const RowChange* row : rows) {
        for (const std::string& node : target_.places(*row)) {
            by_node[node].push_back(row);
        }
    }
    Rows left;
    for (const auto& [node, part] : by_node) {
        const Rows refused = write_node(node, part, progress, written);
        left.insert(left.end(), refused.begin(), refused.end());
    }
    return left;
}

/// First everything with its progress in one transaction per node. Rows of a bucket that is changing its node are tried
/// again without progress until the new owner takes them, and only then all nodes hear of the progress: a node that is
/// new to the projection, and has no progress of its own yet, must never be behind the least that is stored.
void BatchWriter::write_phase(const Rows& rows, const Offsets& progress, Written& written, std::stop_token stop)
{
    Rows left = write_round(rows, progress, written);
    if (left.empty()) {
        return;
    }
    Backoff backoff(2ms, 200ms);
    while (!left.empty()) {
        if (!backoff.wait(stop)) {
            throw TransientError(
                {"writing projection " + definition_.name, "the daemon stops", "It goes on at its next start."});
        }
        target_.reload();
        left = write_round(left, {}, written);
    }
    write_round({}, progress, written);
}

Written BatchWriter::write(std::vector<RowChange*> changes, const Offsets& progress, std::stop_token stop)
{
    Written written;
    Rows live;
    Rows tombstones;
    for (RowChange* change : newest_of_each(std::move(changes))) {
        if (!change->absent.empty()) {
            fill_absent(*change);
        }
        (change->live ? live : tombstones).push_back(change);
    }
    if (tombstones.empty()) {
        write_phase(live, progress, written, stop);
    } else {
        // Rows appear at their new key before they go from the old one.
        write_phase(live, {}, written, stop);
        write_phase(tombstones, progress, written, stop);
    }
    return written;
}

} // namespace keyshift::projections
