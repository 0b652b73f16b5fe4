// A server that crashes under load: nothing that was committed is missing in the topic, nothing that was not is there.
#include "core/change_event.hpp"
#include "core/json.hpp"
#include "tests/catalog/cluster.hpp"
#include "tests/cdc/source/running_stream.hpp"
#include "tests/support/private_postgres.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

namespace keyshift::test {
namespace {

using Rows = std::map<std::string, std::string>;

Rows fold(const kafka::Settings& kafka, const std::string& topic)
{
    Rows rows;
    for (const kafka::Message& message : read_topic(kafka, topic)) {
        if (!message.value) {
            continue;
        }
        const auto event = nlohmann::json::parse(*message.value);
        const std::string id = nlohmann::json::parse(message.key.value()).at("id").dump();
        if (event.at("after").is_null()) {
            rows.erase(id);
        } else {
            rows[id] = event.at("after").at("line");
        }
    }
    return rows;
}

Rows table(pg::Connection& node)
{
    Rows rows;
    const pg::Result all = node.query("SELECT id, line FROM public.log");
    for (int row = 0; row < all.rows(); ++row) {
        rows[std::string(all.text(row, 0))] = all.text(row, 1);
    }
    return rows;
}

TEST(CrashOfTheServer, UnderLoadLosesNothing) // INV-CDC-1
{
    PrivatePostgres postgres;
    const std::string prefix = unique_name("crash");
    catalog::Node node;
    {
        pg::Connection catalog(postgres.settings("catalog"));
        catalog::init(catalog, prefix, prefix, false);
        catalog.script("CREATE TABLE public.log (id bigint PRIMARY KEY, line text)");
        catalog::add_node(catalog, {"n1", postgres.conninfo(), "", false});
        catalog::capture(catalog, {"log"}, false, {}, false);
        catalog.script("UPDATE keyshift.snapshot SET state = 'done'");
        node = catalog::node(catalog, "n1");
    }
    cdc::CdcOptions options;
    options.topic_prefix = prefix;
    options.kafka = TestServers().kafka();
    options.partitions = 2;
    options.spool_directory = "/tmp";
    RunningStream running(node, postgres.settings("catalog"), options);
    ASSERT_TRUE(running.wait_state("streaming"));
    std::atomic<int> written = 0;
    std::atomic<int> broken = 0;
    std::jthread load([&](std::stop_token stop) {
        for (int next = 1; !stop.stop_requested();) {
            try {
                pg::Connection writer(postgres.settings("writer"));
                for (; !stop.stop_requested(); ++next) {
                    writer.script(fmt::format(
                        "BEGIN; INSERT INTO public.log VALUES ({0}, 'new'); UPDATE public.log SET line = 'again {0}' WHERE "
                        "id = {0} / 2; DELETE FROM public.log WHERE id = {0} / 3 AND id % 5 = 0; COMMIT",
                        next));
                    ++written;
                }
            } catch (const Error&) {
                // Whether the last one was committed is not known: a new number either way.
                ++next;
                ++broken;
                std::this_thread::sleep_for(std::chrono::milliseconds(50));
            }
        }
    });
    for (int crash = 0; crash < 3; ++crash) {
        const int before = written;
        ASSERT_TRUE(eventually([&] { return written > before + 200; }, std::chrono::seconds(60)));
        ASSERT_EQ(postgres.stop("immediate"), 0);
        postgres.start();
    }
    const int before = written;
    ASSERT_TRUE(eventually([&] { return written > before + 50; }, std::chrono::seconds(60)));
    load.request_stop();
    load.join();
    EXPECT_GE(broken, 3) << "each crash met the writer";
    pg::Connection connection(postgres.settings());
    const Lsn end = connection.query("SELECT pg_catalog.pg_current_wal_lsn()").lsn(0, 0);
    ASSERT_TRUE(eventually([&] { return running.stream().wait_acknowledged(end, std::chrono::seconds(1)); },
                           std::chrono::seconds(90)));
    EXPECT_EQ(fold(options.kafka, prefix + ".public.log"), table(connection));
}

} // namespace
} // namespace keyshift::test
