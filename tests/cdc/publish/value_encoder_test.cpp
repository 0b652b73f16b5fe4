// Text in, JSON out. The JSON is what Debezium 3.2.0.Final prints (contract/types.sql asks it).
#include "cdc/publish/column_default.hpp"
#include "cdc/publish/value_encoder.hpp"

#include "tests/cdc/publish/schemas.hpp"

#include <gtest/gtest.h>

namespace keyshift::cdc {
namespace {

using test::array_of;
using test::domain_over;
using test::numeric_modifier;
using test::type;

std::string json(const TypeSchema& of, std::string_view text, const ValueOptions& options = {})
{
    const auto encoder = ValueEncoder::for_type(of, options);
    if (!encoder) {
        return "left out";
    }
    std::string out;
    encoder->append(out, text);
    return out;
}

struct Case {
    TypeSchema type;
    std::string text;
    std::string json;
};

class ValueOfType : public testing::TestWithParam<Case> {};

TEST_P(ValueOfType, IsWrittenAsDebeziumWritesIt)
{
    EXPECT_EQ(json(GetParam().type, GetParam().text), GetParam().json)
        << GetParam().type.name << " " << GetParam().text;
}

INSTANTIATE_TEST_SUITE_P(
    Numbers, ValueOfType,
    testing::Values(Case{type("bool"), "t", "true"}, Case{type("bool"), "f", "false"},
                    Case{type("int2"), "-32768", "-32768"}, Case{type("int4"), "123456", "123456"},
                    Case{type("int8"), "9223372036854775807", "9223372036854775807"},
                    Case{type("oid"), "4000000000", "4000000000"}, Case{type("float4"), "3.3", "3.3"},
                    Case{type("float8"), "1e+07", "1.0E7"}, Case{type("float8"), "NaN", "\"NaN\""},
                    Case{type("numeric", numeric_modifier(3, 2)), "1.10", "\"bg==\""},
                    Case{type("numeric", numeric_modifier(3, 2)), "3.30", "\"AUo=\""},
                    Case{type("numeric", numeric_modifier(4, 0)), "10", "\"Cg==\""},
                    Case{type("numeric", numeric_modifier(6, 4)), "22.2200", "\"A2P4\""},
                    Case{type("numeric", numeric_modifier(5, 2)), "-128.00", "\"zgA=\""},
                    Case{type("numeric", numeric_modifier(3, 2)), "NaN", "null"},
                    Case{type("numeric"), "10.1111", R"({"scale":4,"value":"AYr3"})"},
                    Case{type("numeric"), "10", R"({"scale":0,"value":"Cg=="})"},
                    Case{type("numeric"), "12300", R"({"scale":0,"value":"MAw="})"},
                    Case{type("numeric"), "0.10", R"({"scale":1,"value":"AQ=="})"},
                    Case{type("numeric"), "NaN", "null"}, Case{type("money"), "$1,234.56", "\"AeJA\""},
                    Case{type("money"), "$1,234.11", "\"AeIT\""}, Case{type("money"), "-$1,234.11", "\"/h3t\""}));

INSTANTIATE_TEST_SUITE_P(
    Texts, ValueOfType,
    testing::Values(Case{type("text"), "a \"b\"", R"("a \"b\"")"}, Case{type("varchar", 14), "x", R"("x")"},
                    Case{type("bpchar", 9), "ab   ", R"("ab   ")"}, Case{type("citext"), "MiXed", R"("MiXed")"},
                    Case{type("name"), "a name", R"("a name")"},
                    Case{type("uuid"), "00000000-0000-0000-0000-0000000000ff",
                         R"("00000000-0000-0000-0000-0000000000ff")"},
                    Case{type("json"), R"({"bar": "baz"})", R"("{\"bar\": \"baz\"}")"},
                    Case{type("jsonb"), "[1, null]", R"("[1, null]")"}, Case{type("xml"), "<a/>", R"("<a/>")"},
                    Case{type("inet"), "192.168.2.0/12", R"("192.168.2.0/12")"},
                    Case{type("int4range"), "[1000,6000)", "\"[1000,6000)\""}, Case{type("ltree"), "a.b", R"("a.b")"}));

INSTANTIATE_TEST_SUITE_P(
    Binary, ValueOfType,
    testing::Values(Case{type("bytea"), "\\x010203", "\"AQID\""}, Case{type("bytea"), "\\x", "\"\""},
                    Case{type("bytea"), "\\xFFfe", "\"//4=\""}, Case{type("bit", 1), "1", "true"},
                    Case{type("bit", 1), "0", "false"}, Case{type("bit", 2), "11", "\"Aw==\""},
                    Case{type("bit", 7), "1000000", "\"QA==\""}, Case{type("bit", 2), "00", "\"\""},
                    Case{type("bit", 64), "1" + std::string(63, '0'), "\"AAAAAAAAAIA=\""},
                    Case{type("varbit"), "111011010001000110000001000000001", "\"AQIj2gE=\""},
                    Case{type("varbit"), "", "\"\""},
                    Case{type("point"), "(1,1)",
                         R"({"x":1.0,"y":1.0,"wkb":"AQEAAAAAAAAAAADwPwAAAAAAAPA/","srid":null})"},
                    Case{type("hstore"), R"("key"=>"val")", R"("{\"key\":\"val\"}")"},
                    Case{type("hstore"), R"("a"=>NULL, "b"=>"q\"u\\o")", R"("{\"a\":null,\"b\":\"q\\\"u\\\\o\"}")"},
                    Case{type("hstore"), "", R"("{}")"}));

INSTANTIATE_TEST_SUITE_P(
    Times, ValueOfType,
    testing::Values(Case{type("date"), "2016-11-04", "17109"}, Case{type("time"), "13:51:30", "49890000000"},
                    Case{type("time", 3), "13:51:30.123", "49890123"}, Case{type("time", 0), "13:51:30", "49890000"},
                    Case{type("time", 4), "24:00:00", "86400000000"},
                    Case{type("timetz"), "13:51:30.123789+02", R"("11:51:30.123789Z")"},
                    Case{type("timestamp"), "2016-11-04 13:51:30.123456", "1478267490123456"},
                    Case{type("timestamp", 3), "2016-11-04 13:51:30.123", "1478267490123"},
                    Case{type("timestamp", 3), "1969-12-31 23:59:59.999", "-1"},
                    Case{type("timestamp", 3), "-infinity", "-9223372036832400"},
                    Case{type("timestamptz"), "2016-11-04 11:51:30.123456+00", R"("2016-11-04T11:51:30.123456Z")"},
                    Case{type("timestamptz", 3), "2016-11-04 11:51:30.12+00", R"("2016-11-04T11:51:30.120Z")"},
                    Case{type("timestamptz"), "infinity", R"("infinity")"},
                    Case{type("interval"), "1 year 2 mons 3 days 04:05:06.78", "37091106780000"}));

INSTANTIATE_TEST_SUITE_P(
    Arrays, ValueOfType,
    testing::Values(Case{array_of(type("int4")), "{1,2,NULL}", "[1,2,null]"}, Case{array_of(type("int4")), "{}", "[]"},
                    Case{array_of(type("int4")), "[0:1]={7,8}", "[7,8]"},
                    Case{array_of(type("int4")), "{{1,2},{3,NULL}}", "[[1,2],[3,null]]"},
                    Case{array_of(type("int4")), "[1:1][0:1]={{1,2}}", "[[1,2]]"},
                    Case{array_of(type("text")), R"({a,"b,c","d\"e","f\\g","","NULL",NULL,"{x}"," y "})",
                         R"(["a","b,c","d\"e","f\\g","","NULL",null,"{x}"," y "])"},
                    Case{array_of(type("bool")), "{t,f}", "[true,false]"},
                    Case{array_of(type("numeric", numeric_modifier(10, 2))), "{1.10,-22.22}", R"(["bg==","91I="])"},
                    Case{array_of(type("bytea")), R"({"\\x000102","\\x0304"})", R"(["AAEC","AwQ="])"},
                    Case{array_of(type("date")), "{2016-11-04,1970-01-01}", "[17109,0]"},
                    Case{array_of(type("timestamptz")), R"({"2016-11-04 11:51:30+00"})",
                         R"(["2016-11-04T11:51:30.000000Z"])"},
                    Case{array_of(type("timetz")), "{13:51:30+02}", R"(["11:51:30Z"])"},
                    Case{array_of(type("bit", 3)), "{101,NULL}", R"(["BQ==",null])"},
                    Case{array_of(type("hstore")), R"({"\"a\"=>\"1\""})", R"(["{\"a\":\"1\"}"])"}));

INSTANTIATE_TEST_SUITE_P(Domains, ValueOfType,
                         testing::Values(Case{domain_over(type("int4")), "7", "7"},
                                         Case{domain_over(type("numeric", numeric_modifier(6, 2))), "1.50", "\"AJY=\""},
                                         Case{domain_over(domain_over(type("timestamp", 3))), "2016-11-04 13:51:30.123",
                                              "1478267490123"}));

TEST(ValueEncoder, ADecimalIsTextOrANumberWhereTheConfigurationSaysSo)
{
    const TypeSchema price = type("numeric", numeric_modifier(3, 2));
    EXPECT_EQ(json(price, "1.10", {.decimal = DecimalMode::string}), "\"1.10\"");
    EXPECT_EQ(json(type("numeric"), "10", {.decimal = DecimalMode::string}), "\"10\"");
    EXPECT_EQ(json(type("numeric"), "NaN", {.decimal = DecimalMode::string}), "\"NAN\"");
    EXPECT_EQ(json(type("numeric"), "-Infinity", {.decimal = DecimalMode::string}), "\"NEGATIVE_INFINITY\"");
    EXPECT_EQ(json(type("money"), "-$1,234.56", {.decimal = DecimalMode::string}), "\"-1234.56\"");
    EXPECT_EQ(json(type("money"), "-$1,234.56", {.decimal = DecimalMode::real}), "-1234.56");
    EXPECT_EQ(json(price, "1.10", {.decimal = DecimalMode::real}), "1.1");
    EXPECT_EQ(json(type("numeric"), "NaN", {.decimal = DecimalMode::real}), "\"NaN\"");
}

TEST(ValueEncoder, TextThatIsNotOfItsTypeIsNullAndNeverBrokenJson)
{
    const std::pair<const char*, const char*> cases[] = {
        {"int8", ""},           {"int8", "007"},
        {"int8", "1 "},         {"int8", "98888888888888888888888888888888888888"},
        {"float8", "1e"},       {"float8", "1.0E805"},
        {"float4", "-"},        {"float8", "Infinit"},
        {"float8", "1..2"},     {"date", "yesterday"},
        {"time", "noon"},       {"timestamp", "99999999999999-01-01 00:00:00"},
        {"interval", "x"},      {"numeric", "1e5"},
        {"timestamptz", "now"}, {"point", "1,2"}};
    for (const auto& [name, text] : cases) {
        EXPECT_EQ(json(type(name), text), "null") << name << " " << text;
    }
    EXPECT_EQ(json(array_of(type("text")), "\"no array\""), "null");
    EXPECT_EQ(json(type("numeric"), "nan(1)", {.decimal = DecimalMode::real}), "null");
}

TEST(ValueEncoder, ColumnsOfOtherTypesAreLeftOut)
{
    TypeSchema composite = type("text");
    composite.kind = 'c';
    for (const TypeSchema& other :
         {type("tsvector"), type("tsquery"), type("pg_lsn"), type("box"), type("circle"), type("int4multirange"),
          composite, array_of(type("money")), array_of(type("name")), array_of(type("interval")), array_of(type("xml")),
          array_of(type("point")), array_of(type("varbit")), array_of(domain_over(type("int4"))),
          array_of(composite)}) {
        EXPECT_EQ(json(other, "x"), "left out") << other.name;
    }
}

TEST(ValueEncoder, AnUnchangedToastValueIsDebeziumsPlaceholderOfItsType)
{
    const auto placeholder = [](const TypeSchema& of) {
        std::string out;
        ValueEncoder::for_type(of, {})->append_unavailable(out);
        return out;
    };
    const std::string codes =
        "[95,95,100,101,98,101,122,105,117,109,95,117,110,97,118,97,105,108,97,98,108,101,95,118,97,108,117,101]";
    EXPECT_EQ(placeholder(type("text")), "\"__debezium_unavailable_value\"");
    EXPECT_EQ(placeholder(type("jsonb")), "\"__debezium_unavailable_value\"");
    EXPECT_EQ(placeholder(type("bytea")), "\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\"");
    EXPECT_EQ(placeholder(type("hstore")), R"("{\"__debezium_unavailable_value\":\"__debezium_unavailable_value\"}")");
    EXPECT_EQ(placeholder(array_of(type("int4"))), codes);
    EXPECT_EQ(placeholder(array_of(type("date"))), codes);
    EXPECT_EQ(placeholder(array_of(type("text"))), "[\"__debezium_unavailable_value\"]");
    EXPECT_EQ(placeholder(array_of(type("uuid"))), "[\"b68a35a7-17ad-35b3-af2a-ae46edb4545a\"]");
    EXPECT_EQ(placeholder(array_of(type("bytea"))), "[\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\"]");
    for (const TypeSchema& none : {type("numeric"), type("varbit"), array_of(type("int2")), array_of(type("float8")),
                                   array_of(type("timestamptz"))}) {
        EXPECT_EQ(placeholder(none), "null") << none.name;
    }
}

TEST(ValueEncoder, WhatTheWalDidNotCarryIsTheColumnsDefaultOrItsTypesZero)
{
    const auto filler = [](const TypeSchema& of, std::optional<std::string> literal = {}, bool has_default = false) {
        ColumnSchema column = test::column("c", of, false, true);
        column.default_literal = std::move(literal);
        column.has_default = has_default || column.default_literal;
        return absent_value(column, *ValueEncoder::for_type(of, {}));
    };
    EXPECT_EQ(filler(type("text")), "\"\"");
    EXPECT_EQ(filler(type("text"), "text"), "\"text\"");
    EXPECT_EQ(filler(type("int4"), "-5"), "-5");
    EXPECT_EQ(filler(type("int4"), {}, true), "0");
    EXPECT_EQ(filler(type("bool"), "t"), "true");
    EXPECT_EQ(filler(type("numeric")), R"({"scale":0,"value":"AA=="})");
    EXPECT_EQ(filler(type("float8")), "0.0");
    EXPECT_EQ(filler(type("bytea"), "\\x01"), "\"\"");
    EXPECT_EQ(filler(type("timestamptz")), "\"1970-01-01T00:00:00Z\"");
    EXPECT_EQ(filler(type("timestamptz"), {}, true), "\"1970-01-01T00:00:00.000000Z\"");
    EXPECT_EQ(filler(type("uuid")), "\"\"");
    EXPECT_EQ(filler(type("uuid"), {}, true), "\"00000000-0000-0000-0000-000000000000\"");
    EXPECT_EQ(filler(type("timetz")), "\"00:00:00Z\"");
    EXPECT_EQ(filler(array_of(type("int4"))), "[]");
    EXPECT_EQ(filler(type("hstore")), "\"{}\"");
    EXPECT_EQ(filler(type("bit", 1)), "false");
    EXPECT_EQ(filler(type("date")), "0");
    ColumnSchema nullable = test::column("c", type("text"));
    nullable.default_literal = "text";
    EXPECT_EQ(absent_value(nullable, *ValueEncoder::for_type(nullable.type, {})), "null");
}

TEST(ValueForms, EachModeIsWrittenAsDebeziumWritesIt)
{
    const ValueOptions iso{.time = TimeMode::isostring, .interval = IntervalMode::string};
    EXPECT_EQ(json(type("date"), "0044-03-15 BC", iso), R"("-0043-03-15Z")");
    EXPECT_EQ(json(type("date"), "infinity", iso), R"("-5877611-06-21Z")");
    EXPECT_EQ(json(type("time"), "24:00:00", iso), R"("00:00:00Z")");
    EXPECT_EQ(json(type("time"), "12:00:00.120", iso), R"("12:00:00.12Z")");
    EXPECT_EQ(json(type("timestamp"), "21016-11-04 13:51:30.1", iso), R"("+21016-11-04T13:51:30.1Z")");
    EXPECT_EQ(json(type("timestamp"), "-infinity", iso), R"("-290308-12-21T19:59:27.6Z")");
    EXPECT_EQ(json(type("interval"), "-1 years -2 mons +3 days -04:05:06.789", iso), R"("P-1Y-2M3DT-4H-5M-6.789S")");
    EXPECT_EQ(json(type("interval"), "00:00:00", iso), R"("P0Y0M0DT0H0M0S")");
    const ValueOptions connect{.time = TimeMode::connect};
    EXPECT_EQ(json(type("time"), "13:51:30.123456", connect), "49890123");
    EXPECT_EQ(json(type("timestamp"), "1969-12-31 23:59:59.9985", connect), "-2");
    const ValueOptions microseconds{.time = TimeMode::microseconds};
    TypeSchema short_time = type("time");
    short_time.modifier = 3;
    EXPECT_EQ(json(short_time, "13:51:30.123", microseconds), "49890123000");
    EXPECT_EQ(json(type("bytea"), "\\x01ff", {.binary = BinaryMode::hex}), R"("01ff")");
    EXPECT_EQ(json(type("bytea"), "\\x01ff", {.binary = BinaryMode::base64}), R"("Af8=")");
    EXPECT_EQ(json(type("hstore"), R"("a"=>"1", "b"=>NULL)", {.hstore = HstoreMode::map}), R"({"a":"1","b":null})");
}

TEST(ValueForms, AnUnknownTypeIsItsTextsBytesWhenThatIsWanted)
{
    const ValueOptions bytes{.unknown_types = UnknownTypes::bytes};
    EXPECT_EQ(json(type("tsquery"), "'fat'", {}), "left out");
    EXPECT_EQ(json(type("tsquery"), "'fat'", bytes), R"("J2ZhdCc=")");
    EXPECT_EQ(json(type("tsquery"), "'fat'", {.binary = BinaryMode::hex, .unknown_types = UnknownTypes::bytes}),
              R"("2766617427")");
    EXPECT_EQ(json(type("box"), "(1,1e+10),(0,-0.5)", bytes), R"("KDEuMCwxLjBFMTApLCgwLjAsLTAuNSk=")");
    EXPECT_EQ(json(array_of(type("box")), "{(1,1),(0,0);(2,2),(1,1)}", bytes),
              R"(["KDEuMCwxLjApLCgwLjAsMC4wKQ==","KDIuMCwyLjApLCgxLjAsMS4wKQ=="])");
    EXPECT_EQ(json(array_of(type("money")), "{$1.00}", bytes), "left out");
}

} // namespace
} // namespace keyshift::cdc
