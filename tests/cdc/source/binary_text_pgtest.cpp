// Two slots of one publication that began at the same place: what one sends in binary becomes what the other sends as text.
#include "cdc/source/binary_text.hpp"
#include "cdc/source/pgoutput_decoder.hpp"
#include "core/pg/replication_connection.hpp"
#include "tests/cdc/source/running_stream.hpp"
#include "tests/support/test_servers.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>

namespace keyshift::test {
namespace {

using cdc::Datum;

std::string contract(const std::string& file)
{
    std::ifstream in(std::string(KEYSHIFT_CONTRACT) + "/" + file);
    std::stringstream text;
    text << in.rdbuf();
    EXPECT_FALSE(text.str().empty()) << file;
    return text.str();
}

std::string shown(const Datum& datum)
{
    switch (datum.kind) {
    case Datum::Kind::null:
        return "NULL";
    case Datum::Kind::unchanged_toast:
        return "unchanged";
    case Datum::Kind::text:
        return "'" + std::string(datum.text) + "'";
    case Datum::Kind::binary:
        break;
    }
    return "binary";
}

class BinaryTextTest : public testing::Test {
protected:
    void set_up(const std::string& sql)
    {
        connection_.script("SET search_path = public");
        connection_.script(sql);
        connection_.script("CREATE PUBLICATION everything FOR ALL TABLES");
        for (const std::string way : {"text", "binary"}) {
            connection_.query("SELECT pg_catalog.pg_create_logical_replication_slot($1, 'pgoutput')", {slot(way)});
        }
    }
    std::string slot(const std::string& way) const { return database_.name() + "_" + way; }
    void note(const cdc::Change& change, std::vector<std::string>& found)
    {
        for (const auto& [side, row] : {std::pair("before", &change.before), std::pair("after", &change.after)}) {
            for (std::size_t at = 0; *row && at < (*row)->size(); ++at) {
                found.push_back(fmt::format("{} {} {} {} {}", change.seq, change.relation->name.to_string(), side,
                                            change.relation->columns[at].name, shown((**row)[at])));
            }
        }
    }
    /// Every value that the slot has, in order.
    std::vector<std::string> values(const std::string& way)
    {
        const bool binary = way == "binary";
        pg::ReplicationConnection replication(database_.settings());
        replication.start(slot(way), "everything", Lsn{}, {1, "off", binary});
        pg::Connection server = database_.connect();
        cdc::BinaryText texts(server);
        cdc::PgoutputDecoder decoder([&](cdc::Change& change) {
            for (const auto* row : {&change.before, &change.after}) {
                for (std::size_t at = 0; *row && at < (*row)->size(); ++at) {
                    if ((**row)[at].kind == Datum::Kind::binary) {
                        came_in_binary_.insert(change.relation->columns[at].type_oid);
                    }
                }
            }
            texts.translate(change);
        });
        std::vector<std::string> found;
        const auto is_read = [&] {
            for (auto next = replication.try_receive(); next.message || next.keepalive;
                 next = replication.try_receive()) {
                if (!next.message) {
                    continue;
                }
                const cdc::Decoded decoded = decoder.decode(next.message->start, next.message->payload);
                if (const auto* change = std::get_if<const cdc::Change*>(&decoded)) {
                    note(**change, found);
                }
                if (std::holds_alternative<cdc::LogicalMessage>(decoded)) {
                    return true;
                }
            }
            return false;
        };
        EXPECT_TRUE(eventually(is_read, std::chrono::seconds(60)));
        return found;
    }
    std::vector<std::string> compare(const std::string& sql)
    {
        connection_.script(sql);
        connection_.script("SELECT pg_catalog.pg_logical_emit_message(true, 'test', 'end')");
        std::vector<std::string> text = values("text");
        EXPECT_TRUE(came_in_binary_.empty());
        EXPECT_EQ(values("binary"), text);
        return text;
    }

    TestDatabase database_;
    pg::Connection connection_ = database_.connect();
    std::set<std::uint32_t> came_in_binary_; ///< types
};

class EveryType : public BinaryTextTest, public testing::WithParamInterface<const char*> {};

TEST_P(EveryType, IsTheTextThatPostgresWouldHaveSent)
{
    const std::string name = GetParam();
    set_up(contract(name + ".setup.sql"));
    EXPECT_GT(compare(contract(name + ".sql")).size(), 50U);
    EXPECT_GT(came_in_binary_.size(), 1U);
}

INSTANTIATE_TEST_SUITE_P(BinaryText, EveryType,
                         testing::Values("types", "times", "decimals", "intervals", "binaries", "hstores", "unknowns",
                                         "identities", "names", "columns"),
                         [](const auto& type) { return std::string(type.param); });

TEST_F(BinaryTextTest, LongValuesAndExtremesOfIntegers)
{
    set_up("CREATE TABLE t (a int2, b int4, c int8, d bool, e uuid, f text, g bytea, h text[])");
    const auto values = compare(
        "INSERT INTO t VALUES (-32768, -2147483648, -9223372036854775808, true, 'abcdef01-2345-6789-abcd-ef0123456789', "
        "repeat('xä', 300000), decode(repeat('00ff10', 300000), 'hex'), array_fill('\"'::text, ARRAY[1000]));"
        "INSERT INTO t VALUES (32767, 2147483647, 9223372036854775807, false, '00000000-0000-0000-0000-000000000000', "
        "'', '', '{}'); INSERT INTO t VALUES (-1, -1, -1), (0, 0, 0), (255, 255, 255), (-256, -256, -256)");
    ASSERT_EQ(values.size(), 6U * 8U);
    EXPECT_EQ(values[0], "0 public.t after a '-32768'");
}

TEST_F(BinaryTextTest, OfADomainWhoseConstraintIsNewerThanTheValue)
{
    set_up("CREATE DOMAIN stamp AS timestamptz; CREATE DOMAIN late AS stamp; CREATE TABLE t (id int, s late)");
    const auto values =
        compare("INSERT INTO t VALUES (1, '2020-01-01'); ALTER DOMAIN late ADD CHECK (VALUE > '2024-01-01') "
                "NOT VALID");
    EXPECT_EQ(values.at(1), "0 public.t after s '2020-01-01 00:00:00+00'");
}

TEST_F(BinaryTextTest, ATypeThatIsGoneIsAFatalErrorThatNamesTheTable)
{
    set_up("CREATE TYPE pair AS (a int, b int); CREATE TABLE t (id int, p pair)");
    connection_.script("INSERT INTO t VALUES (1, '(1,2)')");
    connection_.script("DROP TABLE t; DROP TYPE pair");
    try {
        values("binary");
        FAIL() << "a value was made up";
    } catch (const FatalError& error) {
        EXPECT_NE(error.parts().what.find("public.t"), std::string::npos) << error.what();
        EXPECT_NE(error.parts().next.find("keyshift cdc recover"), std::string::npos);
    }
}

} // namespace
} // namespace keyshift::test
