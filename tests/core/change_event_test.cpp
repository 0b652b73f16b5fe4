#include "core/change_event.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace keyshift {
namespace {

TEST(SourcePosition, IsDecimalAndOrderedByEpochFirst)
{
    const SourcePosition position{Epoch{2}, Lsn{0x16'B374D848}, 7};
    EXPECT_EQ(position.to_string(), "2/97500059720/7");
    EXPECT_EQ(SourcePosition::parse("2/97500059720/7"), position);
    EXPECT_LT((SourcePosition{Epoch{1}, Lsn{900}, 9}), (SourcePosition{Epoch{2}, Lsn{1}, 0}));
    EXPECT_LT((SourcePosition{Epoch{1}, Lsn{5}, 9}), (SourcePosition{Epoch{1}, Lsn{6}, 0}));
}

TEST(SourcePosition, RefusesWhatIsNone)
{
    for (const char* text :
         {"", "//", "1/2", "1/2/", "1/2/3/4", "1/-2/3", "a/2/3", " 1/2/3", "1/2/18446744073709551616", "+1/2/3"}) {
        EXPECT_EQ(SourcePosition::parse(text), std::nullopt) << text;
    }
}

RC_GTEST_PROP(SourcePositionProperty, ReadsWhatItPrints, (std::uint64_t epoch, std::uint64_t lsn, std::uint64_t seq))
{
    const SourcePosition position{Epoch{epoch}, Lsn{lsn}, seq};
    RC_ASSERT(SourcePosition::parse(position.to_string()) == position);
}

TEST(Origin, IsNodeAndBucket)
{
    const auto origin = Origin::parse("n1/17");
    ASSERT_TRUE(origin.has_value());
    EXPECT_EQ(origin->node, "n1");
    EXPECT_EQ(origin->bucket, BucketId{17});
    EXPECT_EQ(origin->to_string(), "n1/17");
    for (const char* text : {"", "n1", "/17", "n1/", "n1/-1", "n1/4294967296", "n1/x"}) {
        EXPECT_FALSE(Origin::parse(text).has_value()) << text;
    }
}

TEST(AbsentColumns, AreAsciiWhateverTheNames)
{
    const AbsentColumns columns{{"a,b", "50%"}, {"\u00e9;=", "plain"}};
    EXPECT_EQ(columns.to_string(), "before=a%2Cb,50%25;after=%C3%A9%3B%3D,plain");
    EXPECT_EQ((AbsentColumns{{}, {"x"}}.to_string()), "after=x");
    EXPECT_EQ(AbsentColumns{}.to_string(), "");
}

TEST(AbsentColumns, RefuseWhatIsMalformed)
{
    for (const char* text : {"before", "before=", "during=a", "before=a,,b", "before=%", "before=%4", "before=%zz",
                             "before=a;before=b", "=a", ";"}) {
        EXPECT_FALSE(AbsentColumns::parse(text).has_value()) << text;
    }
    EXPECT_TRUE(AbsentColumns::parse("")->empty());
}

RC_GTEST_PROP(AbsentColumnsProperty, ReadWhatTheyPrint,
              (std::vector<std::string> before, std::vector<std::string> after))
{
    std::erase(before, "");
    std::erase(after, "");
    const AbsentColumns columns{before, after};
    const std::string text = columns.to_string();
    RC_ASSERT(std::all_of(text.begin(), text.end(), [](char letter) { return letter > 0x20 && letter < 0x7F; }));
    const auto read = AbsentColumns::parse(text);
    RC_ASSERT(read.has_value());
    RC_ASSERT(read->before == before);
    RC_ASSERT(read->after == after);
}

TEST(Topics, AreNamedAsDebeziumNamesThem)
{
    EXPECT_EQ(data_topic("app", "public", "users"), "app.public.users");
    EXPECT_EQ(data_topic("app", "My Schema", "a$b"), "app.My_Schema.a_b");
    // One underscore for a UTF-16 unit, as Java's replacement does it.
    EXPECT_EQ(data_topic("app", "public", "caf\u00e9\u20ac"), "app.public.caf__");
    EXPECT_EQ(data_topic("app", "public", "\U0001F600"), "app.public.__");
    EXPECT_EQ(control_topic("app"), "app.keyshift.control");
    EXPECT_EQ(heartbeat_topic("app"), "__debezium-heartbeat.app");
}

TEST(ControlRecord, ProgressIsOneLineOfJsonWithItsTypeFirst)
{
    const ProgressRecord record{"n1", 3, Lsn{0x1'00000010}, {{"app.public.users", {{0, 5}, {10, 7}}}}};
    const std::string json =
        R"({"type":"progress","node":"n1","timeline":3,"lsn":"1/10","end_offsets":{"app.public.users":{"0":5,"10":7}}})";
    EXPECT_EQ(to_json(record), json);
    const auto read = parse_control_record(json);
    ASSERT_TRUE(read && std::holds_alternative<ProgressRecord>(*read));
    EXPECT_EQ(std::get<ProgressRecord>(*read).lsn, record.lsn);
    EXPECT_EQ(std::get<ProgressRecord>(*read).end_offsets, record.end_offsets);
}

TEST(ControlRecord, EveryKindIsReadBack)
{
    const ControlRecord records[] = {
        ProgressRecord{"n1", 1, Lsn{1}, {}},
        SwitchRecord{"users", BucketId{17}, Epoch{2}, "n1", "n2"},
        TruncateRecord{"n1", "public.users", BucketId{0}, {Epoch{1}, Lsn{9}, 2}},
        GapRecord{"n1", 2, Lsn{9}, Lsn{7}},
        SnapshotRecord{"n1", "public.users", "begin", Lsn{~0ULL}},
    };
    for (const ControlRecord& record : records) {
        const auto read = parse_control_record(to_json(record));
        ASSERT_TRUE(read.has_value()) << to_json(record);
        EXPECT_EQ(read->index(), record.index());
        EXPECT_EQ(to_json(*read), to_json(record));
    }
}

TEST(ControlRecord, HostileInputIsNoRecord)
{
    const std::string deep(100'000, '[');
    for (const std::string& text : {
             std::string(""),
             std::string("null"),
             std::string("[]"),
             std::string("{}"),
             deep,
             std::string("{\"type\":\"progress\"}"),
             std::string(R"({"type":"later","node":"n1"})"),
             std::string(R"({"type":"switch","group":"g","bucket":-1,"epoch":2,"from":"a","to":"b"})"),
             std::string(R"({"type":"switch","group":"g","bucket":4294967296,"epoch":2,"from":"a","to":"b"})"),
             std::string(R"({"type":"switch","group":"g","bucket":1.5,"epoch":2,"from":"a","to":"b"})"),
             std::string(R"({"type":"switch","group":7,"bucket":1,"epoch":2,"from":"a","to":"b"})"),
             std::string(R"({"type":"snapshot","node":"n","table":"t","phase":"begin","lsn":"x"})"),
             std::string(R"({"type":"progress","node":"n","timeline":1,"lsn":"0/1","end_offsets":{"t":{"x":1}}})"),
             std::string(R"({"type":"progress","node":"n","timeline":1,"lsn":"0/1","end_offsets":{"t":{"0":1e99}}})"),
             std::string(R"({"type":"snapshot","node":"n","table":"t","phase":"begin","lsn":"0/1"} x)"),
             std::string(
                 "{\"type\":\"snapshot\",\"node\":\"\xff\",\"table\":\"t\",\"phase\":\"begin\",\"lsn\":\"0/1\"}"),
         }) {
        EXPECT_FALSE(parse_control_record(text).has_value()) << text.substr(0, 80);
    }
}

RC_GTEST_PROP(ControlRecordProperty, NoTextMakesReadingFail, (const std::string& text))
{
    const auto record = parse_control_record(text);
    const bool read_back = !record || parse_control_record(to_json(*record)).has_value();
    RC_ASSERT(read_back);
}

} // namespace
} // namespace keyshift
