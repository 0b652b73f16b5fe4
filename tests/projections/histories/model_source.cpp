#include "tests/projections/histories/model_source.hpp"

#include "core/change_event.hpp"

#include <fmt/core.h>

namespace keyshift::test {

ModelSource::ModelSource(Random& random, bool full) : random_(random), full_(full)
{
    nodes_[0].lsn = 1'000'000;
    for (int number = 0; number < kBuckets; ++number) {
        buckets_[static_cast<std::size_t>(number)].node = number % kNodes;
    }
}

std::string ModelSource::side(int id, const Row& row, bool whole) const
{
    const std::string user = row.user ? std::to_string(*row.user) : "null";
    const std::string amount = whole ? std::to_string(row.amount) : fmt::format("\"{}\"", kUnavailableValue);
    return fmt::format(R"({{"id":{},"user_id":{},"amount":{}}})", id, user, amount);
}

/// `before`, `after`: whether the side lacks the amount.
void ModelSource::write(int number, int id, const std::string& value, bool before, bool after)
{
    kafka::Message message;
    message.topic = "app.public.t";
    message.partition = id % kPartitions;
    message.key = fmt::format(R"({{"id":{}}})", id);
    message.value = value;
    const int owned = id % kBuckets;
    const SourcePosition position{Epoch{bucket(id).epoch}, Lsn{node(number).lsn}, seq_++};
    message.headers = {{std::string(kHeaderOrigin), fmt::format("n{}/{}", number, owned)},
                       {std::string(kHeaderPosition), position.to_string()}};
    AbsentColumns absent;
    if (before) {
        absent.before = {"amount"};
    }
    if (after) {
        absent.after = {"amount"};
    }
    if (!absent.empty()) {
        message.headers.emplace_back(kHeaderAbsent, absent.to_string());
    }
    const int partition = message.partition;
    node(number).wal.emplace_back(partition, std::move(message));
}

std::optional<int> ModelSource::some_id(int number, bool present)
{
    const int first = pick(random_, kIds);
    for (int step = 0; step < kIds; ++step) {
        const int id = (first + step) % kIds;
        if (bucket(id).node == number && rows_.contains(id) == present) {
            return id;
        }
    }
    return std::nullopt;
}

void ModelSource::insert(int number, int id)
{
    const int user = pick(random_, kUsers + 1);
    const Row row{user == kUsers ? std::nullopt : std::optional(user), pick(random_, kAmounts)};
    rows_[id] = row;
    write(number, id, fmt::format(R"({{"before":null,"after":{},"op":"c"}})", side(id, row, true)), false, false);
}

void ModelSource::remove(int number, int id)
{
    write(number, id, fmt::format(R"({{"before":{},"after":null,"op":"d"}})", old_side(id, rows_.at(id))), !full_,
          false);
    node(number).wal.emplace_back(id % kPartitions, node(number).wal.back().second);
    node(number).wal.back().second.value.reset(); // the tombstone for compaction
    rows_.erase(id);
}

/// The WAL has the old row with FULL, or when a column of the identity has changed; a large value that has not changed is
/// not in it.
void ModelSource::change_row(int number, int id)
{
    Row& row = rows_.at(id);
    const Row old = row;
    if (pick(random_, 2) == 0) {
        const int user = pick(random_, kUsers + 1);
        row.user = user == kUsers ? std::nullopt : std::optional(user);
    }
    if (pick(random_, 3) > 0) {
        row.amount = pick(random_, kAmounts);
    }
    const bool has_old = full_ || old.user != row.user;
    const bool absent = !full_ && old.amount == row.amount;
    write(number, id,
          fmt::format(R"({{"before":{},"after":{},"op":"u"}})", has_old ? old_side(id, old) : "null",
                      side(id, row, !absent)),
          has_old && !full_, absent);
}

/// Debezium's form of a changed primary key: two events of one change.
void ModelSource::change_id(int number, int id)
{
    const std::optional<int> other = some_id(number, false);
    if (!other) {
        return;
    }
    const Row row = rows_.at(id);
    remove(number, id);
    --seq_;
    rows_[*other] = row;
    const bool absent = !full_ && pick(random_, 2) == 0;
    write(number, *other, fmt::format(R"({{"before":null,"after":{},"op":"c"}})", side(*other, row, !absent)), false,
          absent);
}

void ModelSource::change(int number, int id)
{
    switch (pick(random_, 8)) {
    case 0:
        remove(number, id);
        break;
    case 1:
        change_id(number, id);
        break;
    case 2:
        remove(number, id);
        insert(number, id);
        break;
    default:
        change_row(number, id);
    }
}

void ModelSource::commit_transaction()
{
    const int number = pick(random_, kNodes);
    begin(number);
    for (int left = 1 + pick(random_, 4); left > 0; --left) {
        const bool adds = pick(random_, 3) == 0;
        if (const auto id = some_id(number, !adds)) {
            adds ? insert(number, *id) : change(number, *id);
        }
    }
}

void ModelSource::publish_next(Node& from)
{
    auto [number, message] = from.wal[from.published++];
    auto& partition = topic_[static_cast<std::size_t>(number)];
    message.offset = static_cast<std::int64_t>(partition.size());
    partition.push_back(std::move(message));
}

void ModelSource::publish()
{
    Node& from = some_node();
    for (int left = 1 + pick(random_, 8); left > 0 && from.published < from.wal.size(); --left) {
        publish_next(from);
    }
}

void ModelSource::publish_all()
{
    for (Node& from : nodes_) {
        while (from.published < from.wal.size()) {
            publish_next(from);
        }
    }
}

void ModelSource::record()
{
    Node& from = some_node();
    from.recorded = std::max(from.recorded, from.published);
}

void ModelSource::restart_stream()
{
    Node& from = some_node();
    from.published = from.recorded;
}

void ModelSource::move_bucket()
{
    Bucket& moved = buckets_[static_cast<std::size_t>(pick(random_, kBuckets))];
    Node& donor = node(moved.node);
    while (donor.published < donor.wal.size()) {
        publish_next(donor);
    }
    donor.recorded = donor.published;
    moved.node = (moved.node + 1) % kNodes;
    ++moved.epoch;
}

void ModelSource::snapshot_bucket()
{
    const int number = pick(random_, kBuckets);
    const int owner = bucket(number).node;
    begin(owner);
    for (const auto& [id, row] : rows_) {
        if (id % kBuckets == number) {
            write(owner, id, fmt::format(R"({{"before":null,"after":{},"op":"r"}})", side(id, row, true)), false,
                  false);
        }
    }
}

void ModelSource::truncate()
{
    const int number = pick(random_, kNodes);
    begin(number);
    std::erase_if(rows_, [&](const auto& row) { return bucket(row.first).node == number; });
    for (int first = 0; first < kBuckets; ++first) {
        if (bucket(first).node == number) {
            write(number, first, R"({"before":null,"after":null,"op":"t"})", false, false);
        }
    }
}

SourcePosition ModelSource::now(int id) const
{
    const Bucket& of = bucket(id);
    return {Epoch{of.epoch}, Lsn{nodes_[static_cast<std::size_t>(of.node)].lsn + 1}, 0};
}

projections::BaseRow ModelSource::base_row(int id, const Row& row) const
{
    return {std::to_string(id), row.user ? std::optional(std::to_string(*row.user)) : std::nullopt,
            std::to_string(row.amount)};
}

} // namespace keyshift::test
