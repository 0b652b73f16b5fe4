#include "tests/daemon/installation.hpp"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace keyshift::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class Http : public ::testing::Test {
protected:
    void SetUp() override
    {
        installation_.set_up();
        installation_.connect().script("CREATE TABLE public.users (user_id bigint PRIMARY KEY, name text)");
        installation_.must({"table", "distribute", "users", "--key", "user_id", "--buckets", "4", "--offline"});
        installation_.start_daemon();
    }

    Installation installation_;
};

TEST_F(Http, EveryPathAnswersInItsForm)
{
    EXPECT_EQ(installation_.get("/livez").body, "ok\n");
    EXPECT_EQ(installation_.get("/readyz").body, "ok\n");
    EXPECT_TRUE(comes_true([&] { return installation_.get("/healthz").status == 200; }));
    const auto health = nlohmann::json::parse(installation_.get("/healthz").body);
    EXPECT_EQ(health.at("catalog").at("state"), "ok");
    EXPECT_EQ(health.at("kafka").at("state"), "ok");
    EXPECT_EQ(health.at("nodes").at("n1").at("state"), "streaming");
    EXPECT_THAT(installation_.get("/metrics").body, HasSubstr("keyshift_build_info{"));
    EXPECT_EQ(nlohmann::json::parse(installation_.get("/v1/nodes").body).at(0).at("node"), "n1");
    const auto status = nlohmann::json::parse(installation_.get("/v1/status").body);
    EXPECT_EQ(status.at("daemon").at("running"), true);
    EXPECT_EQ(status.at("workers").size(), 0U);
    EXPECT_TRUE(nlohmann::json::parse(installation_.get("/v1/jobs").body).is_array());
    EXPECT_TRUE(nlohmann::json::parse(installation_.get("/v1/projections").body).is_array());
}

TEST_F(Http, RouteSaysWhatTheCommandSays)
{
    const auto told = nlohmann::json::parse(installation_.get("/v1/route?table=users&key=17").body);
    EXPECT_EQ(told, installation_.json({"route", "users", "17"}));
    EXPECT_EQ(told.at("node"), "n1");
    EXPECT_EQ(installation_.get("/v1/route?table=users").status, 400);
    EXPECT_EQ(installation_.get("/v1/route?table=nosuch&key=1").status, 404);
    for (const char* table : {"", "a.b.c", "%22users", "%ff", "%00"}) {
        EXPECT_EQ(installation_.get(std::string("/v1/route?key=1&table=") + table).status, 400) << table;
    }
}

TEST_F(Http, WhatIsNotThereIs404)
{
    for (const char* path : {"/nothing", "/v1/nothing", "/v1/jobs/99", "/v1/jobs/x", "/v1/projections/none"}) {
        EXPECT_EQ(installation_.get(path).status, 404) << path;
    }
}

TEST_F(Http, OnlyReadingIsPossible)
{
    for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS"}) {
        EXPECT_EQ(installation_.get("/v1/status", method).status, 405) << method;
    }
    const HttpReply head = installation_.get("/livez", "HEAD");
    EXPECT_EQ(head.status, 200);
    EXPECT_EQ(head.body, "");
}

TEST_F(Http, AForeignHostNameIsRefusedOnLoopback)
{
    EXPECT_EQ(http_get(installation_.port(), "/livez", "GET", "evil.example").status, 403);
    EXPECT_EQ(http_get(installation_.port(), "/livez", "GET", "localhost").status, 200);
}

TEST_F(Http, ThePageLoadsNothingFromElsewhereAndRunsNothingInline)
{
    const HttpReply page = installation_.get("/");
    EXPECT_EQ(page.status, 200);
    EXPECT_THAT(page.head, AllOf(HasSubstr("default-src 'none'"), Not(HasSubstr("unsafe"))));
    EXPECT_THAT(page.body, AllOf(Not(HasSubstr("http://")), Not(HasSubstr("https://")), HasSubstr("status.js"),
                                 Not(HasSubstr("<style"))));
    EXPECT_EQ(installation_.get("/status.js").status, 200);
    EXPECT_EQ(installation_.get("/status.css").status, 200);
}

TEST_F(Http, OversizedAndBrokenRequestsAreTurnedAway)
{
    const std::string large = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + std::string(10'000, 'x') + "\r\n\r\n";
    EXPECT_EQ(http_send(installation_.port(), large).status, 431);
    EXPECT_EQ(http_send(installation_.port(), "nonsense\r\n\r\n").status, 400);
    EXPECT_EQ(
        http_send(installation_.port(), "POST /v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n\r\nhello")
            .status,
        405);
    EXPECT_EQ(installation_.get("/livez").status, 200);
}

TEST_F(Http, ManyAtOnceAreServedOrTurnedAwayButNeverStopIt)
{
    {
        std::vector<std::jthread> readers;
        for (int reader = 0; reader < 60; ++reader) {
            readers.emplace_back([&] { static_cast<void>(installation_.get("/metrics")); });
        }
    }
    EXPECT_EQ(installation_.get("/livez").status, 200);
}

} // namespace
} // namespace keyshift::test
