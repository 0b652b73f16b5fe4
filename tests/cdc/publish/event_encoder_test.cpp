#include "cdc/publish/event_encoder.hpp"

#include "core/error.hpp"
#include "tests/cdc/publish/changes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace keyshift::cdc {
namespace {

using test::context;
using test::insert;
using test::kNull;
using test::kUnchanged;
using test::small_table;
using test::text;

constexpr std::int64_t kNow = 1'500'000'000'123'456'789;

/// A record's texts, kept beyond the next call of the encoder.
struct Kept {
    char op;
    std::optional<std::string> key;
    std::optional<std::string> value;
    std::vector<std::pair<std::string, std::string>> headers;

    std::string header(const std::string& name) const
    {
        for (const auto& [present, content] : headers) {
            if (present == name) {
                return content;
            }
        }
        return "none";
    }
};

class EventEncoderTest : public testing::Test {
protected:
    EventEncoderTest() { options_.topic_prefix = "app"; }

    std::vector<Kept> encode(const Change& change, const EventContext& with = context())
    {
        std::vector<Kept> kept;
        for (const EncodedRecord& record : encoder_.encode(with, encoder_.table(table_), change, kNow)) {
            kept.push_back({record.op,
                            record.key ? std::optional(std::string(*record.key)) : std::nullopt,
                            record.value ? std::optional(std::string(*record.value)) : std::nullopt,
                            {}});
            for (const kafka::Header& header : record.headers()) {
                kept.back().headers.emplace_back(header.name, header.value);
            }
        }
        return kept;
    }

    /// From "before" to the end of "after".
    static std::string sides(const Kept& record) { return record.value->substr(0, record.value->find(",\"source\"")); }

    CdcOptions options_;
    TableSchema table_ = small_table();
    EventEncoder encoder_{options_, "shop"};
};

TEST_F(EventEncoderTest, AnInsertIsTheWholeEnvelopeInDebeziumsOrder)
{
    const auto records = encode(insert({text("1"), text("Zoë \"Z\""), kNull}));
    ASSERT_EQ(records.size(), 1U);
    EXPECT_EQ(records[0].op, 'c');
    EXPECT_EQ(records[0].key, R"({"id":1})");
    EXPECT_EQ(
        records[0].value,
        R"({"before":null,"after":{"id":1,"v":"Zoë \"Z\"","n":null},"source":{"version":"3.2.0.Final","connector":"postgresql","name":"app",)"
        R"("ts_ms":1478267490123,"snapshot":"false","db":"shop","sequence":"[\"90\",\"190\"]","ts_us":1478267490123456,)"
        R"("ts_ns":1478267490123456000,"schema":"public","table":"t","txId":733,"lsn":190,"xmin":null},"transaction":null,"op":"c",)"
        R"("ts_ms":1500000000123,"ts_us":1500000000123456,"ts_ns":1500000000123456789})");
    const std::vector<std::pair<std::string, std::string>> headers{{"__debezium.context.connectorLogicalName", "app"},
                                                                   {"__debezium.context.taskId", "0"},
                                                                   {"__debezium.context.connectorName", "postgresql"},
                                                                   {"keyshift.origin", "n1/17"},
                                                                   {"keyshift.position", "3/200/0"}};
    EXPECT_EQ(records[0].headers, headers);
}

TEST_F(EventEncoderTest, TheHeadersOfTheContextCanBeLeftOut)
{
    options_.extended_headers = false;
    const std::vector<std::pair<std::string, std::string>> headers{{"keyshift.origin", "n1/17"},
                                                                   {"keyshift.position", "3/200/0"}};
    EXPECT_EQ(encode(insert({text("1"), text("v"), kNull}))[0].headers, headers);
}

TEST_F(EventEncoderTest, AMessageKeyOfOtherColumnsChangesWithTheirNulls)
{
    table_.identity = 'f';
    table_.capture.key = {"n", "v"};
    const auto records =
        encode(test::update(Tuple{text("1"), text("a"), text("b")}, false, {text("1"), text("a"), kNull}));
    ASSERT_EQ(records.size(), 3U);
    EXPECT_EQ(records[0].key, R"({"n":"b","v":"a"})");
    EXPECT_EQ(records[2].key, R"({"n":null,"v":"a"})");
    EXPECT_EQ(records[2].header("__debezium.oldkey"), R"({"n":"b","v":"a"})");
}

TEST_F(EventEncoderTest, TheFirstTransactionHasNoCommitBeforeIt)
{
    EventContext first = context();
    first.last_commit_lsn.reset();
    EXPECT_THAT(*encode(insert({text("1"), text("a"), kNull}), first)[0].value,
                testing::HasSubstr(R"("sequence":"[null,\"190\"]")"));
}

TEST_F(EventEncoderTest, ARowOfTheSnapshotIsReadWithItsMarker)
{
    EventContext snapshot = context();
    snapshot.snapshot = "last";
    const auto records = encode(insert({text("1"), text("a"), kNull}), snapshot);
    EXPECT_EQ(records[0].op, 'r');
    EXPECT_THAT(*records[0].value, testing::HasSubstr(R"("snapshot":"last")"));
    EXPECT_THAT(*records[0].value, testing::HasSubstr(R"("op":"r")"));
}

TEST_F(EventEncoderTest, AnUpdateWithUnchangedToastSaysSoInItsHeader)
{
    const auto records = encode(test::update(std::nullopt, false, {text("1"), kUnchanged, text("x")}));
    ASSERT_EQ(records.size(), 1U);
    EXPECT_EQ(sides(records[0]), R"({"before":null,"after":{"id":1,"v":"__debezium_unavailable_value","n":"x"})");
    EXPECT_EQ(records[0].header("keyshift.absent"), "after=v");
    const auto real =
        encode(test::update(std::nullopt, false, {text("1"), text("__debezium_unavailable_value"), kNull}));
    EXPECT_EQ(real[0].header("keyshift.absent"), "none") << "a real text that reads like the placeholder";
}

TEST_F(EventEncoderTest, AValueThatJsonCannotSayIsNamedInTheHeader)
{
    table_.columns[2].type = {};
    table_.columns[2].type.oid = 1700;
    table_.columns[2].type.name = "numeric";
    for (const char* value : {"NaN", "Infinity", "-Infinity"}) {
        const auto records = encode(insert({text("1"), text("a"), text(value)}));
        EXPECT_THAT(*records[0].value, testing::HasSubstr(R"("n":null)")) << value;
        EXPECT_EQ(records[0].header("keyshift.absent"), "after=n") << value;
    }
    EXPECT_EQ(encode(insert({text("1"), text("a"), text("1.5")}))[0].header("keyshift.absent"), "none");
    EXPECT_EQ(encode(insert({text("1"), text("a"), kNull}))[0].header("keyshift.absent"), "none");
}

TEST_F(EventEncoderTest, UnchangedToastIsTakenFromTheOldRowOfIdentityFull)
{
    table_.identity = 'f';
    const auto records =
        encode(test::update(Tuple{text("1"), text("big"), kNull}, false, {text("1"), kUnchanged, text("x")}));
    EXPECT_EQ(sides(records[0]), R"({"before":{"id":1,"v":"big","n":null},"after":{"id":1,"v":"big","n":"x"})");
    EXPECT_EQ(records[0].header("keyshift.absent"), "none");
}

TEST_F(EventEncoderTest, ADeleteHasTheKeyAndFillersAndATombstone)
{
    const auto records = encode(test::remove({text("1"), kNull, kNull}));
    ASSERT_EQ(records.size(), 2U);
    EXPECT_EQ(records[0].op, 'd');
    EXPECT_EQ(sides(records[0]), R"({"before":{"id":1,"v":"","n":null},"after":null)");
    EXPECT_EQ(records[0].header("keyshift.absent"), "before=v,n");
    EXPECT_EQ(records[1].key, records[0].key);
    EXPECT_EQ(records[1].value, std::nullopt);
    EXPECT_EQ(records[1].header("keyshift.position"), "3/200/0");
    EXPECT_EQ(records[1].header("keyshift.absent"), "none");
}

TEST_F(EventEncoderTest, ThereAreNoTombstonesWhereTheConfigurationSaysSo)
{
    options_.tombstones = false;
    EXPECT_EQ(encode(test::remove({text("1"), kNull, kNull})).size(), 1U);
    EXPECT_EQ(encode(test::update(Tuple{text("1"), kNull, kNull}, true, {text("2"), text("a"), kNull})).size(), 2U);
}

TEST_F(EventEncoderTest, AKeyChangeIsADeleteATombstoneAndACreateThatNameEachOther)
{
    const auto records = encode(test::update(Tuple{text("1"), kNull, kNull}, true, {text("2"), kUnchanged, text("x")}));
    ASSERT_EQ(records.size(), 3U);
    EXPECT_EQ(records[0].op, 'd');
    EXPECT_EQ(records[0].key, R"({"id":1})");
    EXPECT_EQ(records[0].header("__debezium.newkey"), R"({"id":2})");
    EXPECT_EQ(records[0].header("keyshift.absent"), "before=v,n");
    EXPECT_EQ(records[1].value, std::nullopt);
    EXPECT_EQ(records[1].header("__debezium.newkey"), R"({"id":2})");
    EXPECT_EQ(records[2].op, 'c');
    EXPECT_EQ(records[2].key, R"({"id":2})");
    EXPECT_EQ(records[2].header("__debezium.oldkey"), R"({"id":1})");
    EXPECT_EQ(records[2].header("keyshift.absent"), "after=v");
    EXPECT_EQ(sides(records[2]), R"({"before":null,"after":{"id":2,"v":"__debezium_unavailable_value","n":"x"})");
}

TEST_F(EventEncoderTest, AnUpdateOfAnotherIdentityColumnIsAnUpdate)
{
    table_.identity = 'i';
    table_.columns[1].identity = true;
    const auto records = encode(test::update(Tuple{text("1"), text("a"), kNull}, true, {text("1"), text("b"), kNull}));
    ASSERT_EQ(records.size(), 1U);
    EXPECT_EQ(records[0].op, 'u');
    EXPECT_EQ(sides(records[0]), R"({"before":{"id":1,"v":"a","n":null},"after":{"id":1,"v":"b","n":null})");
    EXPECT_EQ(records[0].header("keyshift.absent"), "before=n");
}

TEST_F(EventEncoderTest, AKeyInAnUnchangedToastValueComesFromTheOldKey)
{
    table_.columns[0].type = test::type("text");
    const auto records = encode(test::update(Tuple{text("long"), kNull, kNull}, true, {kUnchanged, text("b"), kNull}));
    ASSERT_EQ(records.size(), 1U);
    EXPECT_EQ(records[0].key, R"({"id":"long"})");
    EXPECT_EQ(sides(records[0]), R"({"before":{"id":"long","v":"","n":null},"after":{"id":"long","v":"b","n":null})");
}

TEST_F(EventEncoderTest, TheKeyHasTheKeysOrderAndTheRowItsOwn)
{
    table_.columns[2] = test::column("b", test::type("int8"), true);
    table_.key = {2, 0};
    const auto records = encode(insert({text("1"), text("a"), text("7")}));
    EXPECT_EQ(records[0].key, R"({"b":7,"id":1})");
    EXPECT_EQ(sides(records[0]), R"({"before":null,"after":{"id":1,"v":"a","b":7})");
}

TEST_F(EventEncoderTest, TruncateIsAnEventOnlyOnRequest)
{
    Change change;
    change.kind = ChangeKind::truncate;
    EXPECT_TRUE(encode(change).empty());
    options_.truncate = true;
    const auto records = encode(change);
    ASSERT_EQ(records.size(), 1U);
    EXPECT_EQ(records[0].key, std::nullopt);
    EXPECT_EQ(sides(records[0]), R"({"before":null,"after":null)");
    EXPECT_THAT(*records[0].value, testing::HasSubstr(R"("op":"t")"));
}

TEST_F(EventEncoderTest, NamesAreWrittenRawAndTopicsWithoutWhatKafkaRefuses)
{
    table_.root = {"Odd Schema", "größe"};
    table_.columns[2].name = "se\"lect ünï";
    const auto records = encode(test::update(std::nullopt, false, {text("1"), text("a"), kUnchanged}));
    EXPECT_EQ(encoder_.table(table_).topic(), "app.Odd_Schema.gr__e");
    EXPECT_EQ(sides(records[0]),
              R"({"before":null,"after":{"id":1,"v":"a","se\"lect ünï":"__debezium_unavailable_value"})");
    EXPECT_THAT(*records[0].value, testing::HasSubstr(R"("schema":"Odd Schema","table":"größe")"));
    EXPECT_EQ(records[0].header("keyshift.absent"), "after=se\"lect%20%C3%BCn%C3%AF");
}

TEST_F(EventEncoderTest, ColumnsOfUnsupportedTypesAreLeftOutAndReported)
{
    table_.columns[1].type = test::type("tsvector");
    EXPECT_EQ(sides(encode(insert({text("1"), text("'a'"), kNull}))[0]), R"({"before":null,"after":{"id":1,"n":null})");
    const std::vector<std::pair<std::string, std::string>> left_out{{"v", "tsvector"}};
    EXPECT_EQ(unsupported_columns(table_, {}), left_out);
}

TEST_F(EventEncoderTest, AKeyWithoutAJsonFormIsRefused)
{
    table_.columns[0].type = test::type("tsvector");
    try {
        encode(insert({text("'a'"), text("a"), kNull}));
        FAIL() << "accepted";
    } catch (const FatalError& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr("public.t"));
        EXPECT_THAT(error.what(), testing::HasSubstr("tsvector"));
    }
}

TEST_F(EventEncoderTest, ANewVersionOfTheTableIsPreparedAnew)
{
    encode(insert({text("1"), text("a"), kNull}));
    table_.columns.push_back(test::column("more", test::type("bool")));
    table_.version = 2;
    EXPECT_EQ(sides(encode(insert({text("1"), text("a"), kNull, text("t")}))[0]),
              R"({"before":null,"after":{"id":1,"v":"a","n":null,"more":true})");
}

} // namespace
} // namespace keyshift::cdc
