#include "core/failpoint.hpp"

#include "core/error.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>

namespace keyshift {
namespace {

/// The environment is read at a process's first failpoint, so each case runs in a process of its own.
void passes(const char* setting, int count)
{
    ::setenv("KEYSHIFT_FAILPOINTS", setting, 1);
    for (int pass = 1; pass <= count; ++pass) {
        try {
            failpoint("move.copying.persisted");
            std::fprintf(stderr, "pass %d\n", pass);
        } catch (const TransientError& error) {
            std::fprintf(stderr, "error %d: %s\n", pass, error.what());
        }
    }
    std::_Exit(0);
}

class FailpointDeathTest : public testing::Test {
protected:
    FailpointDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(FailpointDeathTest, KillsTheProcessWithSigkillAndSaysSoFirst)
{
    EXPECT_EXIT(passes("other=error;move.copying.persisted=kill", 1), testing::KilledBySignal(SIGKILL),
                "failpoint move.copying.persisted fired");
}

TEST_F(FailpointDeathTest, StrikesAtTheNthPassOnly)
{
    EXPECT_EXIT(passes("move.copying.persisted=error@2", 3), testing::ExitedWithCode(0),
                "pass 1\nfailpoint move.copying.persisted fired\nerror 2: failpoint .*\npass 3");
}

TEST_F(FailpointDeathTest, WaitsUntilTheFileIsThere)
{
    EXPECT_EXIT(passes("move.copying.persisted=wait:/dev/null@1", 2), testing::ExitedWithCode(0),
                "^failpoint move.copying.persisted fired\npass 1\npass 2");
}

TEST_F(FailpointDeathTest, OthersPassUntouched)
{
    EXPECT_EXIT(passes("move.copying=kill;=;x;move.copying.persisted.more=kill", 1), testing::ExitedWithCode(0),
                "^pass 1");
}

} // namespace
} // namespace keyshift
