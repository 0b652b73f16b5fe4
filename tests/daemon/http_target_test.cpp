#include "daemon/http_server.hpp"

#include <gtest/gtest.h>

namespace keyshift::daemon {
namespace {

TEST(HttpTarget, PathAndRepeatedQueryKeysAreDecoded)
{
    const HttpRequest request = parse_target("/v1/route?table=users&key=a%20b+c&key=%3D&empty=&flag");
    EXPECT_EQ(request.path, "/v1/route");
    EXPECT_EQ(request.query.find("table")->second, "users");
    auto [key, end] = request.query.equal_range("key");
    EXPECT_EQ((key++)->second, "a b c");
    EXPECT_EQ((key++)->second, "=");
    EXPECT_EQ(key, end);
    EXPECT_EQ(request.query.find("empty")->second, "");
    EXPECT_EQ(request.query.find("flag")->second, "");
}

TEST(HttpTarget, ACutPercentSignIsTakenAsItIs)
{
    EXPECT_EQ(parse_target("/a%2").path, "/a%2");
    EXPECT_EQ(parse_target("/%zz").path, "/%zz");
    EXPECT_EQ(parse_target("").path, "");
}

} // namespace
} // namespace keyshift::daemon
