#pragma once
/// Base table, change streams and topic: one table over two nodes, whose events go into partitions by their record key as the
/// streams of Keyshift write them. Buckets change their node with a higher epoch and the new node's own, maybe lower, LSN; a
/// stream that begins anew sends again what no progress record covers.

#include "core/kafka/client.hpp"
#include "projections/row_change.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace keyshift::test {

using Random = std::minstd_rand;
/// 0 <= result < below.
inline int pick(Random& random, int below)
{
    return static_cast<int>(random() % static_cast<unsigned>(below));
}

class ModelSource {
public:
    static constexpr int kNodes = 2;
    static constexpr int kBuckets = 4;
    static constexpr int kPartitions = 3;
    static constexpr int kIds = 24;
    static constexpr int kUsers = 6;
    static constexpr int kAmounts = 5;

    struct Row {
        std::optional<int> user;
        int amount = 0;
    };

    /// `full`: the replica identity is FULL, else an index of primary key and projection key.
    ModelSource(Random& random, bool full);

    /// One transaction of up to four changes on a random node.
    void commit_transaction();
    /// Some of what a node has committed goes to Kafka.
    void publish();
    void publish_all();
    /// A progress record for what is published.
    void record();
    /// A stream begins anew, behind its newest progress record.
    void restart_stream();
    /// Everything of the bucket is in Kafka, and recorded, before another node owns it.
    void move_bucket();
    /// An incremental snapshot of a bucket: op r.
    void snapshot_bucket();
    /// Of one node's rows. No event says which rows.
    void truncate();

    const std::map<int, Row>& rows() const { return rows_; }
    const std::vector<kafka::Message>& partition(int number) const { return topic_[static_cast<std::size_t>(number)]; }
    /// Of a locked read: larger than the version of every change before, smaller than of every later one.
    SourcePosition now(int id) const;
    projections::BaseRow base_row(int id, const Row& row) const;

private:
    struct Node {
        std::uint64_t lsn = 0;
        std::vector<std::pair<int, kafka::Message>> wal; ///< with its partition
        std::size_t published = 0;
        std::size_t recorded = 0;
    };
    struct Bucket {
        int node = 0;
        std::uint32_t epoch = 1;
    };

    void change(int node, int id);
    void change_row(int node, int id);
    void change_id(int node, int id);
    void insert(int node, int id);
    void remove(int node, int id);
    std::string side(int id, const Row& row, bool whole) const;
    std::string old_side(int id, const Row& row) const { return side(id, row, full_); }
    void write(int node, int id, const std::string& value, bool before, bool after);
    std::optional<int> some_id(int node, bool present);
    Bucket& bucket(int id) { return buckets_[static_cast<std::size_t>(id % kBuckets)]; }
    const Bucket& bucket(int id) const { return buckets_[static_cast<std::size_t>(id % kBuckets)]; }
    Node& node(int number) { return nodes_[static_cast<std::size_t>(number)]; }
    Node& some_node() { return node(pick(random_, kNodes)); }
    void publish_next(Node& from);
    void begin(int number) { node(number).lsn += 2 + static_cast<unsigned>(pick(random_, 9)), seq_ = 0; }

    Random& random_;
    bool full_;
    std::map<int, Row> rows_;
    std::array<Node, kNodes> nodes_;
    std::array<Bucket, kBuckets> buckets_;
    std::array<std::vector<kafka::Message>, kPartitions> topic_;
    std::uint64_t seq_ = 0;
};

} // namespace keyshift::test
