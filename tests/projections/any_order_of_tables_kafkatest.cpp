/// INV-PRJ-1 of projections of several tables, case by case: the events of parents and children in every order. They are views
/// over co-located copies (docs/adr/0023): whatever comes last, each copy is its table, and so the view is its SELECT.

#include "core/change_event.hpp"
#include "tests/projections/deliveries.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <ostream>

namespace keyshift::test {
namespace {

struct Case {
    const char* name;
    /// Transactions on users (user_id, name, boss_id), posts (user_id, post_id, content) and talk (post_id, talk_id, user_id, kind).
    std::vector<std::string> history;
};

void PrintTo(const Case& history, std::ostream* stream)
{
    *stream << history.name;
}

const char* const kUser = "INSERT INTO public.users VALUES (1001, 'one', 3); ";
const char* const kPost = "INSERT INTO public.posts VALUES (1001, 1001, 'post'); ";
const char* const kTalk = "INSERT INTO public.talk VALUES (1001, 1001, 1001, 'like'); ";

/// The parent many times in few transactions, and once more behind its child.
std::vector<std::string> storm()
{
    std::vector<std::string> history{std::string(kUser) + kPost};
    std::string renames;
    for (int turn = 0; turn < 1000; ++turn) {
        renames += "UPDATE public.users SET name = 'name " + std::to_string(turn) + "' WHERE user_id = 1001; ";
    }
    history.push_back(renames);
    history.push_back(kTalk);
    history.push_back("UPDATE public.users SET name = 'at rest' WHERE user_id = 1001");
    return history;
}

const Case kCases[] = {
    {"ParentsAndChildrenThatChangeAtOnce",
     {kUser, kPost, kTalk, "UPDATE public.users SET name = 'other' WHERE user_id = 1001",
      "UPDATE public.talk SET kind = NULL WHERE talk_id = 1001"}},
    {"AParentBehindItsChildren", {kTalk, kPost, "INSERT INTO public.talk VALUES (1001, 1002, 1001, NULL)", kUser}},
    {"AParentThatIsDeletedAndMadeAgain",
     {std::string(kTalk) + kPost, kUser, "DELETE FROM public.users WHERE user_id = 1001",
      "INSERT INTO public.users VALUES (1001, 'again', 4)"}},
    {"AParentThatIsDeletedAndMadeAgainInOneTransaction",
     {std::string(kTalk) + kPost, kUser,
      "DELETE FROM public.users WHERE user_id = 1001; INSERT INTO public.users VALUES (1001, 'again', 4)"}},
    {"AParentThatGoes", {kTalk, kPost, kUser, "DELETE FROM public.posts WHERE post_id = 1001"}},
    {"AChildThatGoesToAnotherParent",
     {std::string(kUser) + "INSERT INTO public.users VALUES (1002, 'two', 1001)", kPost, kTalk,
      "UPDATE public.talk SET user_id = 1002 WHERE talk_id = 1001; UPDATE public.users SET name = 'left' WHERE user_id = 1001"}},
    {"AParentThatGoesToAnotherParent",
     {std::string(kUser) + "INSERT INTO public.users VALUES (1002, 'two', 1001)", kPost, kTalk,
      "UPDATE public.posts SET user_id = 1002 WHERE post_id = 1001"}},
    {"AParentThatIsRenamedAThousandTimes", storm()},
};

struct Kind {
    const char* name;
    const char* key;
    const char* sql;
};
const Kind kKinds[] = {
    {"of_reader", "user_id",
     "SELECT t.user_id, t.talk_id, coalesce(t.kind, 'none') AS kind, p.content, a.name AS author, u.name AS reader, b.name AS boss "
     "FROM public.talk t LEFT JOIN public.posts p ON p.post_id = t.post_id LEFT JOIN public.users a ON a.user_id = p.user_id "
     "JOIN public.users u ON u.user_id = t.user_id LEFT JOIN public.users b ON b.user_id = u.boss_id"},
    {"of_author", "author",
     "SELECT p.user_id AS author, p.post_id, max(a.name) AS author_name, count(t.talk_id) AS talks, "
     "count(*) FILTER (WHERE t.kind = 'like') AS likes, max(u.name) AS reader FROM public.posts p "
     "JOIN public.users a ON a.user_id = p.user_id LEFT JOIN public.talk t ON t.post_id = p.post_id "
     "LEFT JOIN public.users u ON u.user_id = t.user_id GROUP BY p.user_id, p.post_id"},
};

class AnyOrderOfTables : public testing::TestWithParam<Case> {
protected:
    AnyOrderOfTables()
    {
        base_.script(
            "CREATE TABLE public.users (user_id bigint PRIMARY KEY, name text NOT NULL, boss_id bigint); "
            "CREATE TABLE public.posts (user_id bigint, post_id bigint, content text, PRIMARY KEY (user_id, post_id)); "
            "CREATE TABLE public.talk (post_id bigint, talk_id bigint, user_id bigint NOT NULL, kind text, PRIMARY KEY (post_id, talk_id)); "
            "INSERT INTO public.users SELECT i, 'user ' || i, i % 3 FROM generate_series(1, 9) i");
        cluster_.distribute("users", "user_id");
        cluster_.distribute("posts", "user_id");
        cluster_.distribute("talk", "post_id");
        for (const Kind& kind : kKinds) {
            cluster_.create(kind.name, kind.key, kind.sql);
        }
        cluster_.wait_until("SELECT bool_and(state = 'live') FROM keyshift.projection");
        cluster_.stop_projections();
        const pg::Result members = cluster_.catalog().query("SELECT name FROM keyshift.projection");
        for (int row = 0; row < members.rows(); ++row) {
            members_[table_of(members.text(row, 0))].push_back(
                std::make_unique<Deliveries>(cluster_, std::string(members.text(row, 0))));
        }
    }

    std::string table_of(std::string_view member)
    {
        return projections::read_projection(cluster_.catalog(), std::string(member)).definition.base.name;
    }

    void write_history()
    {
        for (const std::string& script : GetParam().history) {
            base_.script(script);
        }
        for (const auto& [table, id] :
             {std::pair("users", "user_id"), std::pair("posts", "post_id"), std::pair("talk", "talk_id")}) {
            for (kafka::Message& event : events_of(cluster_, table, id)) {
                events_.emplace_back(table, std::move(event));
            }
        }
    }

    void deliver(std::size_t first, std::size_t last, const std::vector<std::size_t>& order)
    {
        std::map<std::string, Events> batch;
        for (std::size_t at = first; at < last; ++at) {
            const auto& [table, event] = events_[order[at]];
            batch[table].push_back(&event);
        }
        for (const auto& [table, events] : batch) {
            for (const auto& member : members_.at(table)) {
                member->deliver(events);
            }
        }
    }

    void clear()
    {
        for (const auto& [table, members] : members_) {
            for (const auto& member : members) {
                member->clear();
            }
        }
    }

    static std::string of_test(const Kind& kind, const std::string& from)
    {
        return "SELECT r::text FROM " + from + " r WHERE " + kind.key + " >= " + std::to_string(kFirstOfTest);
    }
    std::vector<std::string> wanted(const Kind& kind)
    {
        const pg::Result rows = base_.query(of_test(kind, "(" + std::string(kind.sql) + ")"));
        std::vector<std::string> all;
        for (int row = 0; row < rows.rows(); ++row) {
            all.emplace_back(rows.text(row, 0));
        }
        std::sort(all.begin(), all.end());
        return all;
    }

    ProjectedCluster cluster_;
    pg::Connection base_ = cluster_.connect(0);
    std::map<std::string, std::vector<std::unique_ptr<Deliveries>>> members_; ///< by base table
    std::vector<std::pair<std::string, kafka::Message>> events_;
};

TEST_P(AnyOrderOfTables, EndsEqualToTheDefinition)
{
    write_history();
    ASSERT_GT(events_.size(), 2U);
    const bool few = events_.size() < 20;
    const std::size_t batch = few ? 1 : 50;
    for (const auto& order : orders(events_.size(), few ? 40 : 4)) {
        clear();
        for (std::size_t at = 0; at < order.size(); at += batch) {
            deliver(at, std::min(at + batch, order.size()), order);
        }
        for (const Kind& kind : kKinds) {
            ASSERT_EQ(cluster_.rows(of_test(kind, std::string("public.") + kind.name)), wanted(kind))
                << kind.name << testing::PrintToString(order);
        }
        deliver(0, order.size(), order);
        for (const Kind& kind : kKinds) {
            ASSERT_EQ(cluster_.rows(of_test(kind, std::string("public.") + kind.name)), wanted(kind))
                << kind.name << " again, after " << testing::PrintToString(order);
        }
    }
    cluster_.start_projections();
    for (const Kind& kind : kKinds) {
        EXPECT_EQ(cluster_.verify(kind.name), "0/0/0") << kind.name;
    }
}

INSTANTIATE_TEST_SUITE_P(Of, AnyOrderOfTables, testing::ValuesIn(kCases),
                         [](const auto& parameter) { return std::string(parameter.param.name); });

} // namespace
} // namespace keyshift::test
