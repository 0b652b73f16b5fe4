#pragma once
/// A cluster of one node (n1) whose stream runs against FakeKafka.

#include "tests/catalog/cluster.hpp"
#include "tests/cdc/source/fake_publisher.hpp"
#include "tests/cdc/source/running_stream.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <optional>

namespace keyshift::test {

class StreamTest : public testing::Test {
protected:
    StreamTest();
    void add_node();
    /// Creates tables with this SQL on the node, adds it and captures them.
    void set_up_captured(const std::string& sql, const std::vector<std::string>& tables);
    /// As set_up_captured, distributed by the first column of each table's key, 4 buckets.
    void set_up_distributed(const std::string& sql, const std::string& table, const std::string& key);
    RunningStream& start();
    /// And waits until the rows that were there are read: those written before may come twice, as c and as r.
    void start_after_snapshot();
    void stop() { running_.reset(); }

    pg::Connection& node() { return *node_; }
    const std::string& slot() const { return slot_; }
    /// Waits until the slot's confirmed position is at least `lsn`.
    bool wait_confirmed(Lsn lsn, std::chrono::milliseconds limit = std::chrono::seconds(15));
    Lsn confirmed();
    Lsn current() { return node().query("SELECT pg_catalog.pg_current_wal_lsn()").lsn(0, 0); }

    FakeKafka& kafka_ = FakeKafka::instance();
    Cluster cluster_;
    cdc::CdcOptions options_;
    std::optional<pg::Connection> node_;
    std::string slot_;
    std::unique_ptr<RunningStream> running_;
};

} // namespace keyshift::test
