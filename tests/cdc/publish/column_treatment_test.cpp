#include "cdc/publish/column_treatment.hpp"

#include "core/error.hpp"
#include "core/sha256.hpp"
#include "tests/cdc/publish/schemas.hpp"
#include "tests/support/process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

namespace keyshift::cdc {
namespace {

using test::type;

class ColumnTreatmentTest : public testing::Test {
protected:
    ColumnTreatmentTest() : salt_(directory_.write("salt", "CzQMA0cB5K\nnot this\n"))
    {
        std::filesystem::permissions(salt_, std::filesystem::perms(0600));
        table_.root = {"public", "t"};
    }

    /// What an event shows of a value; nullopt: NULL.
    std::string shown(const TypeSchema& column_type, std::optional<std::string_view> text)
    {
        const ValueEncoder encoder = ValueEncoder::for_type(column_type, {}).value();
        std::string out;
        treatment(column_type).append(out, encoder, text);
        return out;
    }
    std::string unavailable(const TypeSchema& column_type)
    {
        const ValueEncoder encoder = ValueEncoder::for_type(column_type, {}).value();
        std::string out;
        treatment(column_type).append_unavailable(out, encoder);
        return out;
    }
    ColumnTreatment treatment(const TypeSchema& column_type)
    {
        return ColumnTreatment::of(table_, test::column("c", column_type), salt_).value();
    }

    test::TemporaryDirectory directory_;
    std::string salt_;
    TableSchema table_;
};

TEST_F(ColumnTreatmentTest, AMaskStandsForEveryValue)
{
    table_.capture.mask = {{"c", "a \"constant\""}};
    EXPECT_EQ(shown(type("text"), "secret"), R"("a \"constant\"")");
    EXPECT_EQ(shown(type("citext"), std::nullopt), R"("a \"constant\"")");
    EXPECT_EQ(unavailable(type("text")), R"("a \"constant\"")");
    EXPECT_EQ(treatment(type("text")).schema_parameter(), R"("masked":"true")");
}

// The values are Debezium's.
TEST_F(ColumnTreatmentTest, AHashIsSaltedAndNoLongerThanTheColumn)
{
    table_.capture.hash = {"c"};
    EXPECT_EQ(shown(type("text"), ""), R"("7b061bc77caec9afdc6b986ab6c4de894d58006b32ac0f7ea728404a5cf3a9e5")");
    EXPECT_EQ(shown(type("text"), "dflt"), R"("d49aa1b3c7ef4da1f14a6af5935c5aa94ecf92bd3a43f32290911a04a20d482a")");
    EXPECT_EQ(shown(type("varchar", 4 + 5), ""), R"("7b061")");
    EXPECT_EQ(shown(type("varchar", 4 + 100), "").size(), 66U);
    EXPECT_EQ(shown(type("text"), std::nullopt), "null");
    EXPECT_EQ(unavailable(type("text")), R"("296a90bf4bbab137251d)" + unavailable(type("text")).substr(21));
}

TEST_F(ColumnTreatmentTest, ACutKeepsWholeCharactersAndBytes)
{
    table_.capture.truncate = {{"c", 4}};
    EXPECT_EQ(shown(type("text"), "abc"), R"("abc")");
    EXPECT_EQ(shown(type("text"), "ééééé"), R"("éééé")");
    EXPECT_EQ(shown(type("text"), "abc😀"), R"("abc")") << "half a surrogate pair is no character";
    EXPECT_EQ(shown(type("text"), "ab😀x"), R"("ab\uD83D\uDE00")");
    EXPECT_EQ(shown(type("bytea"), "\\x0102030405"), R"("AQIDBA==")");
    EXPECT_EQ(shown(type("bytea"), "\\x01"), R"("AQ==")");
    EXPECT_EQ(shown(type("text"), std::nullopt), "null");
    EXPECT_EQ(unavailable(type("text")), R"("__de")");
    EXPECT_EQ(unavailable(type("bytea")), R"("X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==")");
    EXPECT_EQ(treatment(type("text")).schema_parameter(), R"("truncateLength":"4")");
}

TEST_F(ColumnTreatmentTest, WhatCannotBeHiddenStopsTheStream)
{
    table_.capture.mask = {{"c", "*"}};
    EXPECT_THROW(treatment(type("int4")), FatalError) << "the column has changed its type";
    table_.capture = {};
    EXPECT_FALSE(ColumnTreatment::of(table_, test::column("c", type("int4")), salt_));
    table_.capture.hash = {"c"};
    std::filesystem::permissions(salt_, std::filesystem::perms(0640));
    EXPECT_THROW(treatment(type("text")), Error);
    std::filesystem::remove(salt_);
    EXPECT_THROW(treatment(type("text")), Error);
}

TEST(Sha256, IsThatOfTheStandard)
{
    EXPECT_EQ(sha256_hex("a", "bc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(sha256_hex("", ""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

} // namespace
} // namespace keyshift::cdc
