#include "core/kafka/murmur2.hpp"

#include "core/kafka/client.hpp"

#include <gtest/gtest.h>

namespace keyshift::kafka {
namespace {

TEST(Murmur2, EqualsTheJavaClient)
{
    // Values of org.apache.kafka.common.utils.UtilsTest.testMurmur2.
    const std::pair<const char*, std::int32_t> golden[] = {
        {"21", -973932308},
        {"foobar", -790332482},
        {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
    };
    for (const auto& [key, hash] : golden) {
        EXPECT_EQ(static_cast<std::int32_t>(murmur2(key)), hash) << key;
        EXPECT_EQ(murmur2_partition(key, 1000), (hash & 0x7FFFFFFF) % 1000) << key;
    }
}

} // namespace
} // namespace keyshift::kafka
