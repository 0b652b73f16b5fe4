#include "cdc/source/schema_json.hpp"

#include "cdc/source/schema_look.hpp"

#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

using namespace cdc;

TableSchema example()
{
    TypeSchema number{23, "int4", 'b', -1, {}, {}, {}};
    TypeSchema mood{20001, "mood", 'e', -1, {}, {}, {"so, so", "\"ok\"", "très bien"}};
    TypeSchema moods{20002, "_mood", 'b', -1, std::make_shared<const TypeSchema>(mood), {}, {}};
    TypeSchema price{20003, "price",
                     'd',   655366,
                     {},    std::make_shared<const TypeSchema>(TypeSchema{1700, "numeric", 'b', 655366, {}, {}, {}}),
                     {}};
    TableSchema table;
    table.root = {"Odd \"schema\".", "tëble"};
    table.columns = {{"id", number, true, "7", true, false, true},
                     {"m", moods, false, std::nullopt, true, true, false},
                     {"p", price, false, std::nullopt, false, false, false}};
    table.key = {0};
    table.order = {2, 0, 1};
    table.identity = 'f';
    return table;
}

TEST(SchemaJson, WhatWasWrittenIsReadAgain)
{
    const TableSchema table = example();
    const auto read = schema_from_json(schema_to_json(table));
    ASSERT_TRUE(read);
    EXPECT_TRUE(same_schema(*read, table));
    TableSchema other = table;
    other.columns[1].type.name = "x";
    EXPECT_FALSE(same_schema(*read, other));
}

TEST(SchemaJson, AnythingElseIsRefused)
{
    for (const char* text : {"", "{", "[]", "null", "{}", R"({"schema":1})",
                             R"({"schema":"a","table":"b","key":[3],"identity":"d","columns":[]})",
                             R"({"schema":"a","table":"b","key":[],"identity":"","columns":[]})"}) {
        EXPECT_FALSE(schema_from_json(text)) << text;
    }
}

} // namespace
} // namespace keyshift::test
