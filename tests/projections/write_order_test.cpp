#include "projections/write_order.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace keyshift::projections {
namespace {

Definition by_name()
{
    Definition definition;
    definition.key_base = {"name"};
    definition.pk = {"id"};
    definition.base_columns = {{"id", "integer", "int4", -1, false}, {"name", "text", "text", -1, false}};
    return definition;
}

/// Names that begin alike for longer than what is compared first, that end early, and none at all; bytes above 127 come last.
std::optional<std::string> random_name(std::mt19937& random)
{
    static const std::vector<std::optional<std::string>> kNames{
        std::nullopt, "",          "a",           std::string("a\0", 2), "a\x7f",  "a\xc3\xa9", "12345678",
        "123456789",  "123456780", "1234567\x01", "12345678a",           "123456", "2",         "b"};
    return kNames[random() % kNames.size()];
}

TEST(NewestOfEach, IsOneVersionOfEachRegisterInTheOrderOfItsBytes)
{
    const Definition definition = by_name();
    std::mt19937 random(17);
    for (int round = 0; round < 500; ++round) {
        std::vector<RowChange> changes(random() % 60);
        std::map<std::pair<std::optional<std::string>, std::optional<std::string>>, SourcePosition> newest;
        std::vector<RowChange*> pointers;
        for (RowChange& change : changes) {
            change.base = {std::to_string(random() % 12), random_name(random)};
            change.version = {Epoch{1}, Lsn{random() % 5}, random() % 2};
            pointers.push_back(&change);
            SourcePosition& known = newest[{change.base[1], change.base[0]}];
            known = std::max(known, change.version);
        }
        const std::vector<RowChange*> taken = newest_of_each(definition, pointers);
        ASSERT_EQ(taken.size(), newest.size());
        auto expected = newest.begin();
        for (const RowChange* change : taken) {
            EXPECT_EQ(change->base[1], expected->first.first);
            EXPECT_EQ(change->base[0], expected->first.second);
            EXPECT_EQ(change->version, expected->second);
            ++expected;
        }
    }
}

} // namespace
} // namespace keyshift::projections
