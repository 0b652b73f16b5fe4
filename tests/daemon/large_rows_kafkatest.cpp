// A row of 100 MB through the program to a broker that takes it.
#include "tests/daemon/installation.hpp"
#include "tests/support/private_kafka.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <fstream>

namespace keyshift::test {
namespace {

constexpr std::size_t kRow = 100'000'000;

/// Most memory that the process ever had resident, in bytes.
[[maybe_unused]] std::size_t peak_resident(pid_t pid)
{
    std::ifstream status(fmt::format("/proc/{}/status", pid));
    std::string word;
    std::size_t kilobytes = 0;
    while (status >> word) {
        if (word == "VmHWM:") {
            status >> kilobytes;
        }
    }
    return kilobytes * 1024;
}

TEST(LargeRows, ARowOfAHundredMegabytesIsPassedInBoundedMemory) // INV-OPS-1
{
    const PrivateKafka broker({"socket.request.max.bytes=400000000"});
    Installation installation;
    installation.use_broker(broker.settings());
    installation.set_up();
    pg::Connection node = installation.connect();
    node.script("CREATE TABLE public.files (id int PRIMARY KEY, body text)");
    installation.must({"table", "capture", "files"});
    node.script("UPDATE keyshift.snapshot SET state = 'done'");
    installation.start_daemon({{"KEYSHIFT_KAFKA__MESSAGE_MAX_BYTES", "200000000"}});
    node.script(fmt::format("INSERT INTO public.files VALUES (1, 'before');"
                            "INSERT INTO public.files VALUES (2, (SELECT string_agg(md5(i::text), '') FROM "
                            "generate_series(1, {}) i));"
                            "INSERT INTO public.files VALUES (3, 'behind')",
                            kRow / 32));
    const std::string end(node.query("SELECT pg_current_wal_lsn()").text(0, 0));
    ASSERT_TRUE(comes_true(
        [&] {
            return node
                .query("SELECT bool_and(confirmed_flush_lsn >= $1::pg_lsn) FROM pg_replication_slots "
                       "WHERE database = current_database()",
                       {end})
                .boolean(0, 0);
        },
        180))
        << installation.json({"cdc", "status"}).dump();
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) // they keep freed memory
    const std::size_t peak = peak_resident(installation.daemon().pid());
    RecordProperty("peak_megabytes", static_cast<int>(peak / 1'000'000));
    std::cout << "peak " << peak / 1'000'000 << " MB\n";
    EXPECT_LT(peak, (64U << 20U) + 150'000'000U + 4 * kRow);
#endif
    kafka::Settings reader = broker.settings();
    reader["receive.message.max.bytes"] = "1000000000";
    reader["fetch.message.max.bytes"] = "300000000";
    reader["fetch.max.bytes"] = "400000000";
    std::map<int, std::size_t> sizes;
    for (const kafka::Message& message : read_topic(reader, installation.prefix() + ".public.files", 3)) {
        const auto after = nlohmann::json::parse(message.value.value()).at("after");
        sizes[after.at("id")] = after.at("body").get_ref<const std::string&>().size();
    }
    EXPECT_EQ(sizes, (std::map<int, std::size_t>{{1, 6}, {2, kRow}, {3, 6}}));
}

} // namespace
} // namespace keyshift::test
