#include "tests/cdc/source/stream_fixture.hpp"

#include "core/json.hpp"

namespace keyshift::test {

StreamTest::StreamTest()
{
    kafka_.reset();
    options_.topic_prefix = "test";
    options_.heartbeat_interval = std::chrono::milliseconds(200);
    options_.spool_directory = "/tmp";
    cluster_.add_database();
    node_.emplace(cluster_.connect(0));
    // Transactions that are not small come while they are open.
    node_->script("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET logical_decoding_work_mem = ''64kB''', "
                  "current_database()); END $$");
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

void StreamTest::start_after_snapshot()
{
    ASSERT_TRUE(start().wait_state("streaming"));
    ASSERT_TRUE(eventually(
        [&] { return one(cluster_.catalog(), "SELECT bool_and(state = 'done') FROM keyshift.snapshot") == "t"; }));
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
