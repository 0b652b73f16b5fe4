#include "core/error.hpp"

#include <gtest/gtest.h>

namespace keyshift {
namespace {

TEST(Error, HasThreePartsInOneLine)
{
    const Error error(ErrorKind::refused,
                      {"adding node n2", "wal_level is replica", "Set wal_level = logical and restart it."});
    EXPECT_STREQ(error.what(), "adding node n2: wal_level is replica. Set wal_level = logical and restart it.");
}

TEST(Error, GetsContextOnItsWayUpAndKeepsItsType)
{
    try {
        doing("move 7", [] { throw TransientError({"copying bucket 3", "connection lost", "It is tried again."}); });
        FAIL() << "nothing was thrown";
    } catch (const TransientError& error) {
        EXPECT_EQ(error.parts().what, "move 7: copying bucket 3");
        EXPECT_STREQ(error.what(), "move 7: copying bucket 3: connection lost. It is tried again.");
    }
    EXPECT_EQ(doing("adding", [] { return 2 + 2; }), 4);
}

TEST(Error, KindsHaveTheExitStatusThatScriptsRelyOn)
{
    const std::pair<ErrorKind, int> expected[] = {
        {ErrorKind::transient, 1},     {ErrorKind::fatal, 1},       {ErrorKind::usage, 2},
        {ErrorKind::configuration, 3}, {ErrorKind::unreachable, 4}, {ErrorKind::refused, 5},
        {ErrorKind::differs, 6},       {ErrorKind::unhealthy, 10},  {ErrorKind::timed_out, 124},
    };
    for (const auto& [kind, status] : expected) {
        EXPECT_EQ(exit_status(kind), status);
    }
}

} // namespace
} // namespace keyshift
