#include "core/pg/connection.hpp"

#include "tests/support/private_postgres.hpp"
#include "tests/support/process.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <sys/stat.h>

namespace keyshift::pg {
namespace {

constexpr const char* kSecret = "Correct-Horse-7";

/// A server that wants scram passwords from user app.
class Credentials : public testing::Test {
protected:
    static void SetUpTestSuite()
    {
        server_ = std::make_unique<test::PrivatePostgres>();
        Connection admin(server_->settings());
        admin.script(fmt::format("CREATE ROLE app LOGIN PASSWORD '{}'", kSecret));
        const std::string file(admin.query("SHOW hba_file").text(0, 0));
        admin.script(fmt::format(
            "COPY (SELECT 'host all postgres 127.0.0.1/32 trust' UNION ALL SELECT 'host all all 127.0.0.1/32 scram-sha-256') TO '{}'",
            file));
        admin.query("SELECT pg_reload_conf()");
        while (admin.query("SELECT count(*) FROM pg_hba_file_rules").integer(0, 0) != 2) {
        }
    }
    static void TearDownTestSuite() { server_.reset(); }

    ConnectionSettings settings(const std::string& file) const
    {
        return {"n1", fmt::format("host=127.0.0.1 port={} user=app dbname=postgres", server_->port()), file, "test"};
    }
    /// The error of connecting; its text must not hold the secret.
    Error refusal(const ConnectionSettings& with) const
    {
        try {
            Connection connection(with);
        } catch (const Error& error) {
            EXPECT_EQ(std::string(error.what()).find(kSecret), std::string::npos) << error.what();
            EXPECT_FALSE(error.parts().why.empty());
            EXPECT_FALSE(error.parts().next.empty());
            return error;
        }
        ADD_FAILURE() << "connected";
        return Error(ErrorKind::fatal, {});
    }

    static inline std::unique_ptr<test::PrivatePostgres> server_;
    test::TemporaryDirectory directory_;
};

TEST_F(Credentials, PasswordFileIsReadAgainAtEachConnect)
{
    const std::string file = directory_.write("password", "wrong\n");
    ::chmod(file.c_str(), 0600);
    const Error error = refusal(settings(file));
    EXPECT_EQ(error.kind(), ErrorKind::unreachable);
    EXPECT_NE(error.parts().next.find("password"), std::string::npos) << error.what();
    directory_.write("password", std::string(kSecret) + "\n");
    Connection connection(settings(file));
    EXPECT_EQ(connection.query("SELECT current_user").text(0, 0), "app");
}

TEST_F(Credentials, PasswordFileThatOthersCanReadIsRefused) // INV-OPS-2
{
    const std::string file = directory_.write("password", kSecret);
    for (const mode_t mode : {0640U, 0604U, 0620U}) {
        ::chmod(file.c_str(), mode);
        const Error error = refusal(settings(file));
        EXPECT_EQ(error.kind(), ErrorKind::configuration);
        EXPECT_NE(error.parts().next.find("chmod 600"), std::string::npos) << error.what();
    }
}

TEST_F(Credentials, AMissingPasswordFileIsNamed)
{
    const Error error = refusal(settings(directory_.path() + "/nothing"));
    EXPECT_EQ(error.kind(), ErrorKind::configuration);
    EXPECT_NE(std::string(error.what()).find(directory_.path() + "/nothing"), std::string::npos) << error.what();
}

TEST_F(Credentials, NoPasswordAtAllSaysWhereOneIsLookedFor)
{
    EXPECT_NE(refusal(settings("")).parts().next.find("password file"), std::string::npos);
}

TEST(AddressOf, TellsHostPortAndDatabase)
{
    for (const char* dsn : {"host=db1 port=5433 dbname=app user=x", "postgresql://x@db1:5433/app"}) {
        const Address address = address_of(dsn);
        EXPECT_EQ(address.host, "db1");
        EXPECT_EQ(address.port, 5433);
        EXPECT_EQ(address.dbname, "app");
    }
    EXPECT_EQ(address_of("host=db1 dbname=app").port, 5432);
}

TEST(AddressOf, RefusesAPasswordAndNeverRepeatsIt)
{
    for (const char* dsn :
         {"host=db1 dbname=app password=hunter2", "postgresql://x:hunter2@db1/app", "host=db1 sslpassword=hunter2",
          "host=db1 password=two hunter2", "postgresql://x:hunter2@db1:none/app?hunter2", "password='hunter2"}) {
        try {
            address_of(dsn);
            ADD_FAILURE() << "accepted: " << dsn;
        } catch (const Error& error) {
            EXPECT_EQ(std::string(error.what()).find("hunter2"), std::string::npos) << error.what();
            EXPECT_FALSE(error.parts().next.empty());
        }
    }
    EXPECT_THROW(address_of("nonsense"), Error);
}

} // namespace
} // namespace keyshift::pg
