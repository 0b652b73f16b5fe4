#pragma once
/// A stream whose node and catalog are one server that the test owns, and may stop, kill, or replace by its standby.

#include "tests/cdc/source/stream_fixture.hpp"
#include "tests/support/private_postgres.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace keyshift::test {

constexpr const char* kItems = "CREATE TABLE public.items (id int PRIMARY KEY, name text)";

class OwnSlot : public testing::Test {
protected:
    explicit OwnSlot(const std::vector<std::string>& settings = {}) : postgres_(settings)
    {
        kafka_.reset();
        pg::Connection catalog(postgres_.settings("catalog"));
        catalog::init(catalog, "own", "own", false);
        catalog.script(kItems);
        catalog::add_node(catalog, {"n1", postgres_.conninfo(), "", false});
        catalog::capture(catalog, {"items"}, false, {}, false);
        options_.topic_prefix = "own";
        options_.spool_directory = "/tmp";
        options_.heartbeat_interval = std::chrono::milliseconds(200);
    }
    std::unique_ptr<RunningStream> start(const PrivatePostgres& server)
    {
        pg::Connection catalog(server.settings("catalog"));
        return std::make_unique<RunningStream>(catalog::node(catalog, "n1"), server.settings("catalog"), options_);
    }
    bool arrives(const std::string& key)
    {
        return eventually(
            [&] {
                return std::ranges::any_of(kafka_.events(), [&](const FakeEvent& event) { return event.key == key; });
            },
            std::chrono::seconds(60));
    }

    FakeKafka& kafka_ = FakeKafka::instance();
    PrivatePostgres postgres_;
    cdc::CdcOptions options_;
};

} // namespace keyshift::test
