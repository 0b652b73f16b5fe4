#include "tests/cdc/source/stream_fixture.hpp"

#include <nlohmann/json.hpp>

namespace keyshift::test {

RunningStream::RunningStream(const catalog::Node& node, const pg::ConnectionSettings& catalog,
                             const cdc::CdcOptions& options)
    : series_(metrics_.registry(), node.name),
      stream_(std::make_unique<cdc::NodeStream>(node, catalog, options, series_))
{
    thread_ = std::jthread([this](std::stop_token stop) {
        try {
            stream_->run(stop);
        } catch (const Error& error) {
            error_ = error.parts();
        }
    });
}

void RunningStream::stop()
{
    thread_.request_stop();
    if (thread_.joinable()) {
        thread_.join();
    }
}

std::optional<ErrorParts> RunningStream::fatal_error()
{
    thread_.join();
    return error_;
}

bool RunningStream::wait_state(const std::string& state, std::chrono::milliseconds limit)
{
    return eventually([&] { return stream_->status().state == state; }, limit);
}

StreamTest::StreamTest()
{
    kafka_.reset();
    options_.topic_prefix = "test";
    options_.heartbeat_interval = std::chrono::milliseconds(200);
    options_.spool_directory = "/tmp";
    cluster_.add_database();
    node_.emplace(cluster_.connect(0));
}

void StreamTest::add_node()
{
    cluster_.add_node(0);
    slot_ = catalog::node(cluster_.catalog(), "n1").slot;
}

void StreamTest::set_up_captured(const std::string& sql, const std::vector<std::string>& tables)
{
    node().script(sql);
    add_node();
    catalog::capture(cluster_.catalog(), tables, false, {}, false);
}

void StreamTest::set_up_distributed(const std::string& sql, const std::string& table, const std::string& key)
{
    node().script(sql);
    add_node();
    cluster_.distribute(table, {key}, {}, 4);
}

RunningStream& StreamTest::start()
{
    running_ = std::make_unique<RunningStream>(catalog::node(cluster_.catalog(), "n1"), cluster_.catalog().settings(),
                                               options_);
    return *running_;
}

bool StreamTest::wait_confirmed(Lsn lsn, std::chrono::milliseconds limit)
{
    return eventually([&] { return confirmed() >= lsn; }, limit);
}

Lsn StreamTest::confirmed()
{
    return node()
        .query("SELECT confirmed_flush_lsn FROM pg_catalog.pg_replication_slots WHERE slot_name = $1", {slot()})
        .lsn(0, 0);
}

} // namespace keyshift::test
