#include "core/topic_names.hpp"

#include "core/change_event.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

namespace keyshift {
namespace {

TEST(TopicNames, TablesThatWouldMeetInOneTopicAreToldApart)
{
    TopicNames topics("app");
    EXPECT_FALSE(topics.claim({"a.b", "c"}));
    EXPECT_FALSE(topics.claim({"a.b", "c"})) << "the same table asks again";
    const auto dots = topics.claim({"a", "b.c"});
    ASSERT_TRUE(dots);
    EXPECT_EQ(dots->other, (QualifiedName{"a.b", "c"}));
    EXPECT_NE(dots->why.find("app.a.b.c"), std::string::npos) << dots->why;
    EXPECT_NE(dots->next.find("ALTER TABLE \"a\".\"b.c\" RENAME"), std::string::npos) << dots->next;
    EXPECT_FALSE(topics.claim({"public", "x y"}));
    EXPECT_TRUE(topics.claim({"public", "x_y"}));
    EXPECT_TRUE(topics.claim({"public", "x\"y"}));
    EXPECT_FALSE(topics.claim({"public", "X_Y"})) << "topics know case, as tables do";
}

TEST(TopicNames, ANameThatKafkaDoesNotTakeIsNoTopic)
{
    const std::string longest(63, 'n'); // PostgreSQL's limit
    EXPECT_FALSE(TopicNames(std::string(121, 'p')).claim({longest, longest}));
    const auto objection = TopicNames(std::string(122, 'p')).claim({longest, longest});
    ASSERT_TRUE(objection);
    EXPECT_FALSE(objection->other);
    EXPECT_NE(objection->why.find("250 letters"), std::string::npos) << objection->why;
}

/// Of letters that are kept, replaced, or stand between names.
rc::Gen<std::string> identifiers()
{
    return rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::element('a', 'B', '.', '_', ' ', '"', '-')));
}

RC_GTEST_PROP(TopicNamesProperty, NoTwoTablesGetTheSameTopic, ())
{
    TopicNames topics("app");
    std::set<std::string> given;
    std::set<QualifiedName> tables;
    for (const auto& [schema, name] : *rc::gen::container<std::vector<std::pair<std::string, std::string>>>(
             rc::gen::pair(identifiers(), identifiers()))) {
        const QualifiedName table{schema, name};
        const std::string topic = data_topic("app", schema, name);
        RC_ASSERT(topic.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
                  std::string::npos);
        RC_ASSERT(topic != control_topic("app") || table == QualifiedName({"keyshift", "control"}));
        if (!topics.claim(table) && tables.insert(table).second) {
            RC_ASSERT(given.insert(topic).second);
        } else {
            RC_ASSERT(given.contains(topic));
        }
    }
}

} // namespace
} // namespace keyshift
