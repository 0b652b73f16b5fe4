#include "projections/event_mapper.hpp"

#include <gtest/gtest.h>

namespace keyshift::projections {
namespace {

Definition by_user()
{
    Definition definition;
    definition.name = "by_user";
    definition.base = {"public", "t"};
    definition.alias = "t";
    definition.key = {"user_id"};
    definition.key_base = {"user_id"};
    definition.key_types = {"integer"};
    definition.pk = {"id"};
    definition.pk_names = {"id"};
    definition.base_columns = {{"id", "integer", "int4", -1, false},
                               {"user_id", "integer", "int4", -1, false},
                               {"content", "text", "text", -1, false}};
    return definition;
}

kafka::Message event(const std::string& value, const std::string& absent = {})
{
    kafka::Message message;
    message.key = R"({"id":1})";
    message.value = value;
    message.headers = {{"keyshift.origin", "n1/3"}, {"keyshift.position", "1/100/2"}};
    if (!absent.empty()) {
        message.headers.emplace_back("keyshift.absent", absent);
    }
    return message;
}

std::vector<RowChange> changes(const kafka::Message& message)
{
    const Definition definition = by_user();
    Mapped mapped = EventMapper(definition).map(message);
    EXPECT_TRUE(std::holds_alternative<std::vector<RowChange>>(mapped));
    return std::holds_alternative<Rejection>(mapped) ? std::vector<RowChange>{}
                                                     : std::get<std::vector<RowChange>>(mapped);
}

std::string rejected(const kafka::Message& message)
{
    const Definition definition = by_user();
    const Mapped mapped = EventMapper(definition).map(message);
    return std::holds_alternative<Rejection>(mapped) ? std::get<Rejection>(mapped).reason : "accepted";
}

TEST(EventMapper, AnInsertIsALiveRowWithItsVersion)
{
    const auto rows = changes(event(R"({"before":null,"after":{"id":1,"user_id":7,"content":"a"},"op":"c"})"));
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_TRUE(rows[0].live);
    EXPECT_EQ(rows[0].base, (BaseRow{"1", "7", "a"}));
    EXPECT_EQ(rows[0].version, (SourcePosition{Epoch{1}, Lsn{100}, 2}));
    EXPECT_EQ(rows[0].origin_node, "n1");
}

TEST(EventMapper, AChangedKeyIsALiveRowAndThenATombstoneOfTheSameVersion)
{
    const auto rows = changes(
        event(R"({"before":{"id":1,"user_id":7,"content":null},"after":{"id":1,"user_id":8,"content":"a"},"op":"u"})",
              "before=content"));
    ASSERT_EQ(rows.size(), 2U);
    EXPECT_TRUE(rows[0].live);
    EXPECT_EQ(rows[0].base[1], "8");
    EXPECT_FALSE(rows[1].live);
    EXPECT_EQ(rows[1].base[1], "7");
    EXPECT_EQ(rows[0].version, rows[1].version);
}

TEST(EventMapper, ADeleteNeedsTheOldKeyInTheWal)
{
    const std::string value = R"({"before":{"id":1,"user_id":7,"content":null},"after":null,"op":"d"})";
    EXPECT_EQ(changes(event(value, "before=content")).size(), 1U);
    EXPECT_EQ(rejected(event(value, "before=user_id,content")), "missing_identity");
}

TEST(EventMapper, AColumnTheWalDidNotCarryIsReadAgain)
{
    const auto rows = changes(
        event(R"({"before":null,"after":{"id":1,"user_id":7,"content":"__debezium_unavailable_value"},"op":"u"})",
              "after=content"));
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_EQ(rows[0].absent, std::vector<std::size_t>{2});
    // The same text without the header is data.
    EXPECT_EQ(
        changes(event(
            R"({"before":null,"after":{"id":1,"user_id":7,"content":"__debezium_unavailable_value"},"op":"u"})"))[0]
            .base[2],
        "__debezium_unavailable_value");
}

TEST(EventMapper, WhatIsReadAgainIsReadBehindItsTransaction)
{
    const auto transaction = [](const std::string& source, const std::string& absent) {
        return changes(event(R"({"before":null,"after":{"id":1,"user_id":7,"content":"x"},"source":)" + source +
                                 R"(,"op":"u"})",
                             absent))
            .at(0)
            .transaction;
    };
    EXPECT_EQ(transaction(R"({"txId":4294967295})", "after=content"), 4294967295U);
    EXPECT_EQ(transaction(R"({"txId":null})", "after=content"), std::nullopt);
    EXPECT_EQ(transaction("null", "after=content"), std::nullopt);
    EXPECT_EQ(transaction(R"({"txId":7})", ""), std::nullopt) << "nothing is read";
}

TEST(EventMapper, LeavesATruncationToTheControlTopic)
{
    EXPECT_TRUE(changes(event(R"({"before":null,"after":null,"op":"t"})")).empty());
}

TEST(EventMapper, RefusesHostileInput)
{
    EXPECT_EQ(rejected(event("{\"before\":null,\"after\":")), "bad_json");
    EXPECT_EQ(rejected(event("{\"after\":{\"id\":1,\"user_id\":7,\"content\":\"\xff\"},\"op\":\"c\"}")), "bad_json");
    EXPECT_EQ(rejected(event(R"({"before":null,"after":{"id":"x","user_id":7,"content":"a"},"op":"c"})")), "bad_value");
    EXPECT_EQ(rejected(event(R"({"before":null,"after":{"id":1,"content":"a"},"op":"c"})")), "unknown_schema");
    EXPECT_EQ(rejected(event(R"({"before":null,"after":{"id":1,"user_id":null,"content":"a"},"op":"c"})")), "null_key");
    EXPECT_EQ(rejected(event(R"({"before":null,"after":{"id":1,"user_id":7,"user_id":8,"content":"a"},"op":"c"})")),
              "bad_json");
    EXPECT_EQ(rejected(event(R"({"after":{"id":1,"user_id":7,"content":"a"},"op":"c","op":"d"})")), "bad_json");
    EXPECT_EQ(rejected(event(R"({"after":[],"op":"c"})")), "bad_json");
    const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
    EXPECT_EQ(rejected(event(R"({"after":{"id":1,"user_id":7,"content":"a","x":)" + deep + R"(},"op":"c"})")),
              "bad_json");
    EXPECT_EQ(rejected(event(R"({"after":{"id":1,"user_id":7,"content":"a","x":1e999999},"op":"c"})")), "bad_json");
    kafka::Message foreign = event(R"({"before":null,"after":{"id":1,"user_id":7,"content":"a"},"op":"c"})");
    foreign.headers.clear();
    EXPECT_EQ(rejected(foreign), "no_position");
}

TEST(EventMapper, ARejectionNamesItsRowByTheRowOrElseByTheRecordsKey)
{
    const Definition definition = by_user();
    const auto row = [&](const std::string& value) {
        return std::get<Rejection>(EventMapper(definition).map(event(value))).row;
    };
    EXPECT_EQ(row(R"({"after":{"id":5,"user_id":null,"content":"a"},"op":"c"})"), R"(["5"])");
    EXPECT_EQ(row("{"), R"(["1"])");
    EXPECT_EQ(row(R"({"after":{"id":[],"user_id":7,"content":"a"},"op":"c"})"), R"(["1"])");
}

TEST(EventMapper, ARejectedRowStillLeavesItsOldPlace)
{
    const Definition definition = by_user();
    const auto left = [&](const std::string& after) {
        const Mapped mapped =
            EventMapper(definition)
                .map(event(R"({"before":{"id":1,"user_id":7,"content":null},"after":)" + after + R"(,"op":"u"})",
                           "before=content"));
        std::string keys;
        for (const RowChange& change : std::get<Rejection>(mapped).left) {
            keys += change.live ? "live" : change.base[1].value_or("none");
        }
        return keys;
    };
    EXPECT_EQ(left(R"({"id":1,"user_id":null,"content":"a"})"), "7");
    EXPECT_EQ(left(R"({"id":1,"user_id":"x","content":"a"})"), "7");
    EXPECT_EQ(left(R"({"id":1,"user_id":8,"content":[]})"), "7");
    EXPECT_EQ(left(R"({"id":1,"user_id":7,"content":[]})"), "") << "it is where it was";
}

TEST(EventMapper, ARowWithoutAKeyWasNowhereAndNeedNotLeave)
{
    const auto rows = changes(event(
        R"({"before":{"id":1,"user_id":null,"content":null},"after":{"id":1,"user_id":8,"content":"a"},"op":"u"})",
        "before=content"));
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_TRUE(rows[0].live);
}

TEST(EventMapper, AnEventFromBeforeARenameIsReadByTheOldName)
{
    Definition definition = by_user();
    definition.base_columns[2].name = "said";
    definition.base_columns[2].former = {"words", "content"};
    const auto content = [&](const std::string& after, const std::string& absent = {}) {
        const Mapped mapped =
            EventMapper(definition).map(event(R"({"before":null,"after":)" + after + R"(,"op":"c"})", absent));
        if (const auto* rejection = std::get_if<Rejection>(&mapped)) {
            return rejection->reason;
        }
        const RowChange& row = std::get<std::vector<RowChange>>(mapped).at(0);
        return row.absent.empty() ? row.base[2].value_or("NULL") : "absent";
    };
    EXPECT_EQ(content(R"({"id":1,"user_id":7,"content":"a"})"), "a");
    EXPECT_EQ(content(R"({"id":1,"user_id":7,"words":"b"})"), "b");
    EXPECT_EQ(content(R"({"id":1,"user_id":7,"said":"c","content":"another column"})"), "c");
    EXPECT_EQ(content(R"({"id":1,"user_id":7,"content":"x"})", "after=content"), "absent");
    EXPECT_EQ(content(R"({"id":1,"user_id":7,"content":[]})"), "bad_value");
    EXPECT_EQ(content(R"({"id":1,"user_id":7,"content":"a","content":"b"})"), "unknown_schema");
    EXPECT_EQ(content(R"({"id":1,"user_id":7})"), "unknown_schema");
}

} // namespace
} // namespace keyshift::projections
