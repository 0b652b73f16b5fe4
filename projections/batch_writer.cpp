#include "projections/batch_writer.hpp"

#include "core/backoff.hpp"
#include "core/failpoint.hpp"
#include "projections/column_arrays.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace keyshift::projections {

namespace {

using namespace std::chrono_literals;

TransientError not_its_own(const Definition& definition, const pg::Connection& connection)
{
    return TransientError({"writing projection " + definition.name,
                           "another runner has taken it over on " + connection.name() + ", or the node is new to it",
                           "This one starts anew."});
}

} // namespace

const char* progress_statement()
{
    return "UPDATE keyshift.projection_progress p SET next_offset = u.next_offset FROM unnest($4::text[], $5::bigint[], $6::bigint[]) "
           "AS u(topic, partition, next_offset) WHERE p.projection = $1 AND p.generation = $2 AND p.owner_epoch = $3 "
           "AND p.topic = u.topic AND p.partition = u.partition";
}

const char* owner_statement()
{
    return "SELECT FROM keyshift.projection_progress WHERE projection = $1 AND generation = $2 AND owner_epoch = $3 LIMIT 1";
}

BatchWriter::BatchWriter(const Definition& definition, Target& target, std::int64_t owner_epoch)
    : definition_(definition), target_(target), owner_epoch_(owner_epoch),
      upsert_live_(upsert_statement(definition, Batch::live)), upsert_any_(upsert_statement(definition, Batch::any)),
      cleaning_(cleaning_statement(definition))
{
}

bool BatchWriter::is_base_distributed()
{
    if (!base_distributed_) {
        base_distributed_ = target_.catalog()
                                .query("SELECT FROM keyshift.captured_table WHERE schema_name = $1 AND table_name = $2 "
                                       "AND group_name IS NOT NULL",
                                       {definition_.base.schema, definition_.base.name})
                                .rows() > 0;
    }
    return *base_distributed_;
}

/// The nodes on which the base row may be, first the one where the event came from. A table that is not distributed is on that
/// one alone.
std::vector<std::string> BatchWriter::places_of_base(const RowChange& change)
{
    std::vector<std::string> nodes = target_.nodes();
    const auto others = std::stable_partition(nodes.begin(), nodes.end(),
                                              [&](const std::string& node) { return node == change.origin_node; });
    if (!is_base_distributed()) {
        nodes.erase(others, nodes.end());
    }
    return nodes;
}

/// The absent columns as the node has them, behind two of our own; nullopt: it does not have the row. A commit can be decoded, and its
/// event be here, before it is visible (while a synchronous standby is waited for): what the origin shows then is from before the event.
std::optional<pg::Result> BatchWriter::read_base(const RowChange& change, const std::string& node, std::stop_token stop)
{
    std::string columns;
    std::string condition;
    std::vector<pg::Parameter> parameters;
    for (const std::size_t index : change.absent) {
        columns += ", " + quote_identifier(definition_.base_columns[index].name) + "::text";
    }
    for (const std::string& name : definition_.pk) {
        const BaseColumn& column = definition_.base_columns[definition_.base_column(name)];
        parameters.emplace_back(change.base[definition_.base_column(name)]);
        condition += fmt::format("{}{} = ${}::{}", condition.empty() ? "" : " AND ", quote_identifier(name),
                                 parameters.size(), column.type);
    }
    const std::string transaction = change.transaction ? std::to_string(*change.transaction) : "";
    std::string visible = "true";
    if (change.transaction && node == change.origin_node) {
        // How far it is behind the first one that the snapshot does not know, in numbers of 32 bits. One that is ahead of it is in
        // progress; or has no such number here, since it is of the time before a failover: then nothing is waited for.
        parameters.emplace_back(transaction);
        visible = fmt::format(
            "(SELECT CASE WHEN ahead < 0 THEN pg_visible_in_snapshot(greatest(edge + ahead, 3)::text::xid8, pg_current_snapshot()) "
            "ELSE ahead >= pg_current_xact_id()::text::bigint - edge END FROM (SELECT edge, ((${}::bigint - edge + 2147483648) & 4294967295) "
            "- 2147483648 AS ahead FROM (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS edge) AS s) AS a)",
            parameters.size());
    }
    const std::string query =
        fmt::format("SELECT {}, r.* FROM (SELECT) AS one LEFT JOIN (SELECT true{} FROM {} WHERE {}) AS r ON true",
                    visible, columns, definition_.base.quoted(), condition);
    Backoff backoff(2ms, 200ms);
    while (true) {
        pg::Result row = target_.connection(node).query(query, parameters);
        if (row.boolean(0, 0)) {
            return row.is_null(0, 1) ? std::nullopt : std::optional(std::move(row));
        }
        if (!backoff.wait(stop)) {
            throw TransientError(
                {"writing projection " + definition_.name, "the daemon stops", "It goes on at its next start."});
        }
    }
}

/// A column that the WAL did not carry has not changed in this event: the source has it, or something newer whose own event is
/// still to come and wins by its version.
void BatchWriter::fill_absent(RowChange& change, std::stop_token stop)
{
    for (const std::string& node : places_of_base(change)) {
        if (const std::optional<pg::Result> row = read_base(change, node, stop)) {
            constexpr int kOurs = 2;
            for (std::size_t at = 0; at < change.absent.size(); ++at) {
                change.base[change.absent[at]] = row->optional_text(0, kOurs + static_cast<int>(at));
            }
            return;
        }
    }
    // The row is gone: its delete is on the way.
}

ChangeList BatchWriter::lock_open_buckets(pg::Connection& connection, const ChangeList& changes,
                                          ChangeList& refused) const
{
    std::vector<std::uint32_t> bucket_of;
    bucket_of.reserve(changes.size());
    for (const RowChange* change : changes) {
        bucket_of.push_back(number(target_.bucket_of(*change)));
    }
    const std::size_t count = *std::max_element(bucket_of.begin(), bucket_of.end()) + std::size_t{1};
    std::vector<bool> wanted(count);
    for (const std::uint32_t bucket : bucket_of) {
        wanted[bucket] = true;
    }
    std::string numbers;
    for (std::size_t bucket = 0; bucket < count; ++bucket) {
        if (wanted[bucket]) {
            numbers += fmt::format("{}{}", numbers.empty() ? "{" : ",", bucket);
        }
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
    std::vector<bool> owned(count);
    for (int row = 0; row < open.rows(); ++row) {
        owned[static_cast<std::size_t>(open.integer(row, 0))] = true;
    }
    ChangeList accepted;
    accepted.reserve(changes.size());
    for (std::size_t at = 0; at < changes.size(); ++at) {
        (owned[bucket_of[at]] ? accepted : refused).push_back(changes[at]);
    }
    return accepted;
}

void BatchWriter::write_rows(pg::Connection& connection, const ChangeList& rows, Written& written) const
{
    ColumnArrays arrays;
    for (std::size_t index = 0; index < definition_.base_columns.size(); ++index) {
        arrays.add_column(definition_.base_columns[index], index, rows);
    }
    arrays.add_versions(rows);
    arrays.add_live(rows);
    const std::vector<pg::Parameter> parameters = arrays.parameters();
    const bool all_live = std::all_of(rows.begin(), rows.end(), [](const RowChange* row) { return row->live; });
    const pg::Result done = connection.run_prepared((all_live ? "upsert_live_" : "upsert_any_") + definition_.name,
                                                    all_live ? upsert_live_ : upsert_any_, parameters);
    if (!cleaning_.empty() && done.integer(0, 1) > 0) {
        connection.run_prepared("empty_groups_" + definition_.name, cleaning_, parameters);
    }
    const std::int64_t applied = cleaning_.empty() ? done.affected() : done.integer(0, 0);
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
    ColumnArrays arrays;
    arrays.add_texts(topics);
    arrays.add_numbers(partitions);
    arrays.add_numbers(offsets);
    const std::string generation = std::to_string(definition_.generation);
    const std::string epoch = std::to_string(owner_epoch_);
    // Every partition has its row here since the writer's take_over: one that has gone, or is another's, is no longer its to raise.
    std::vector<pg::Parameter> parameters{definition_.name, generation, epoch};
    const std::vector<pg::Parameter> columns = arrays.parameters();
    parameters.insert(parameters.end(), columns.begin(), columns.end());
    const pg::Result rows = connection.run_prepared("projection_progress", progress_statement(), parameters);
    if (rows.affected() != static_cast<std::int64_t>(progress.size())) {
        throw not_its_own(definition_, connection);
    }
}

void BatchWriter::check_owner(pg::Connection& connection) const
{
    if (owner_epoch_ != 0 &&
        connection
                .run_prepared("projection_owner", owner_statement(),
                              std::vector<pg::Parameter>{definition_.name, std::to_string(definition_.generation),
                                                         std::to_string(owner_epoch_)})
                .rows() == 0) {
        throw not_its_own(definition_, connection);
    }
}

class BatchWriter::Transaction : public NodeTransaction {
public:
    Transaction(BatchWriter& writer, const std::string& node, Written& written)
        : writer_(writer), connection_(writer.target_.connection(node)), transaction_(connection_), written_(written)
    {
    }

    ChangeList lock_open(const ChangeList& changes, ChangeList& refused) override
    {
        return writer_.definition_.everywhere ? changes : writer_.lock_open_buckets(connection_, changes, refused);
    }
    void upsert(const ChangeList& changes) override { writer_.write_rows(connection_, changes, written_); }
    void tell(const Offsets& progress) override { writer_.write_progress(connection_, progress); }
    void check_owner() override { writer_.check_owner(connection_); }
    void commit() override
    {
        failpoint("projection.committing");
        transaction_.commit();
    }

private:
    BatchWriter& writer_;
    pg::Connection& connection_;
    pg::Transaction transaction_;
    Written& written_;
};

class BatchWriter::Nodes : public WrittenNodes {
public:
    Nodes(BatchWriter& writer, Written& written, std::stop_token stop)
        : writer_(writer), written_(written), stop_(std::move(stop))
    {
    }

    std::vector<std::string> nodes() const override { return writer_.target_.nodes(); }
    std::vector<std::string> places(const RowChange& change) const override { return writer_.target_.places(change); }
    std::unique_ptr<NodeTransaction> begin(const std::string& node) override
    {
        return std::make_unique<Transaction>(writer_, node, written_);
    }
    void await_placement() override
    {
        if (!backoff_.wait(stop_)) {
            throw TransientError({"writing projection " + writer_.definition_.name, "the daemon stops",
                                  "It goes on at its next start."});
        }
        writer_.target_.reload();
    }

private:
    BatchWriter& writer_;
    Written& written_;
    std::stop_token stop_;
    Backoff backoff_{2ms, 200ms};
};

Written BatchWriter::write(std::vector<RowChange*> changes, const Offsets& progress, std::stop_token stop)
{
    Written written;
    base_distributed_.reset();
    const std::vector<RowChange*> newest = newest_of_each(definition_, std::move(changes));
    for (RowChange* change : newest) {
        if (!change->absent.empty()) {
            fill_absent(*change, stop);
        }
    }
    Nodes nodes(*this, written, std::move(stop));
    write_in_order(nodes, newest, untold_);
    untold_ = progress;
    return written;
}

void BatchWriter::tell(std::stop_token stop)
{
    if (!untold_.empty()) {
        write({}, {}, std::move(stop));
    }
}

} // namespace keyshift::projections
