/// A session that was idle when its server was ended.

#include "core/backoff.hpp"
#include "core/pg/connection.hpp"
#include "tests/support/private_postgres.hpp"
#include "tests/support/tcp_proxy.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

namespace keyshift::pg {
namespace {

using namespace std::chrono_literals;

/// Writing fails at once, while the server's last words are still to be read: libpq tells of the writing alone, and calls the
/// connection good.
TEST(EndedServer, IsALostConnectionAndNoFaultOfTheStatement)
{
    test::PrivatePostgres server;
    test::TcpProxy proxy(server.port());
    proxy.reset_clients();
    ConnectionSettings settings = server.settings();
    settings.conninfo += fmt::format(" port={}", proxy.port());
    Connection connection(settings);
    ASSERT_EQ(connection.query("SELECT 1").integer(0, 0), 1);
    ASSERT_EQ(server.stop("immediate"), 0);
    for (int looks = 0; looks < 1000 && proxy.ended() == 0; ++looks) {
        sleep_for(10ms, {});
    }
    ASSERT_EQ(proxy.ended(), 1);
    try {
        connection.query("SELECT 2");
        ADD_FAILURE() << "the server is gone";
    } catch (const TransientSqlError& error) {
        EXPECT_EQ(error.sqlstate(), "08006");
    }
}

} // namespace
} // namespace keyshift::pg
