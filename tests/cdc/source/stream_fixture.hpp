#pragma once
/// A cluster of one node (n1) whose stream runs against FakeKafka.

#include "cdc/node_stream.hpp"
#include "metrics/families.hpp"
#include "tests/catalog/cluster.hpp"
#include "tests/cdc/source/fake_publisher.hpp"

#include <gtest/gtest.h>

#include <exception>
#include <memory>
#include <optional>
#include <thread>

namespace keyshift::test {

/// Runs a NodeStream on a thread until it goes out of scope.
class RunningStream {
public:
    RunningStream(const catalog::Node& node, const pg::ConnectionSettings& catalog, const cdc::CdcOptions& options);
    ~RunningStream() { stop(); }

    cdc::NodeStream& stream() { return *stream_; }
    void stop();
    /// The error that ended run(); waits for it.
    std::optional<ErrorParts> fatal_error();
    bool wait_state(const std::string& state, std::chrono::milliseconds limit = std::chrono::seconds(15));

private:
    metrics::Metrics metrics_;
    metrics::CdcMetrics series_;
    std::unique_ptr<cdc::NodeStream> stream_;
    std::optional<ErrorParts> error_;
    std::jthread thread_;
};

class StreamTest : public testing::Test {
protected:
    StreamTest();
    void add_node();
    /// Creates tables with this SQL on the node, adds it and captures them.
    void set_up_captured(const std::string& sql, const std::vector<std::string>& tables);
    /// As set_up_captured, distributed by the first column of each table's key, 4 buckets.
    void set_up_distributed(const std::string& sql, const std::string& table, const std::string& key);
    RunningStream& start();
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

template <typename Condition>
bool eventually(Condition condition, std::chrono::milliseconds limit = std::chrono::seconds(15))
{
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) {
            return false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return true;
}

} // namespace keyshift::test
