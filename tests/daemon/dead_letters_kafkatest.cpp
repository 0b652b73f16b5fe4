// A row that is too large for its topic, through the program: it stops the node's stream, or goes to the dead-letter topic.
#include "core/change_event.hpp"
#include "tests/daemon/installation.hpp"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace keyshift::test {
namespace {

using testing::HasSubstr;
using testing::Not;

// Hex digits of hashes: they do not compress below the limit of 1,000,000 bytes.
constexpr const char* kLargeText = "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 70000) i)";

class OversizeRows : public testing::Test {
protected:
    OversizeRows()
    {
        installation_.set_up();
        connection_.emplace(installation_.connect());
        connection_->script("CREATE TABLE public.files (id int PRIMARY KEY, body text, note text)");
        installation_.must({"table", "capture", "files"});
        connection_->script("UPDATE keyshift.snapshot SET state = 'done'");
    }
    nlohmann::json stream() const { return installation_.json({"cdc", "status"}).at(0); }
    bool waits_for(const std::string& state)
    {
        return comes_true([&] { return stream().at("state") == state; }, 60);
    }
    /// The last event of each key has this note, for the keys that have one.
    std::map<int, std::string> fold() const
    {
        std::map<int, std::string> rows;
        for (const kafka::Message& message : read_topic(installation_.servers().kafka(), topic("public.files"))) {
            if (!message.value) {
                continue;
            }
            const auto event = nlohmann::json::parse(*message.value);
            const int id = nlohmann::json::parse(*message.key).at("id");
            if (event.at("after").is_null()) {
                rows.erase(id);
            } else {
                rows[id] = event.at("after").at("note");
            }
        }
        return rows;
    }
    std::vector<nlohmann::json> letters() const
    {
        std::vector<nlohmann::json> found;
        std::set<std::string> positions;
        for (const kafka::Message& message :
             read_topic(installation_.servers().kafka(), topic("keyshift.dead_letter"))) {
            if (positions.emplace(message.header(kHeaderPosition).value()).second) {
                found.push_back(nlohmann::json::parse(message.value.value()));
            }
        }
        return found;
    }
    std::string topic(const std::string& rest) const { return installation_.prefix() + "." + rest; }
    void insert(int id, const std::string& note, const std::string& body = "'small'")
    {
        connection_->script(fmt::format("INSERT INTO public.files VALUES ({}, {}, '{}')", id, body, note));
    }

    Installation installation_;
    std::optional<pg::Connection> connection_;
};

TEST_F(OversizeRows, StopTheStreamAndLetItGoOnWhenThePolicySaysSo)
{
    installation_.start_daemon();
    insert(1, "first");
    ASSERT_TRUE(comes_true([&] { return fold().size() == 1; }, 60));
    insert(2, "large", kLargeText);
    insert(3, "behind it");
    ASSERT_TRUE(waits_for("stopped")) << stream().dump();
    const auto error = stream().at("error");
    EXPECT_THAT(error.at("what"), HasSubstr("public.files"));
    EXPECT_THAT(error.at("next"), HasSubstr("--on-error dead-letter"));
    EXPECT_THAT(installation_.daemon().output(), Not(HasSubstr("c4ca4238"))) << "no value is logged";
    EXPECT_EQ(fold().count(3), 0U) << "nothing is skipped";

    installation_.must({"table", "capture", "files", "--on-error", "dead-letter"});
    installation_.must({"reload"});
    ASSERT_TRUE(comes_true([&] { return fold().contains(3); }, 90)) << stream().dump();
    connection_->script("UPDATE public.files SET body = 'small again', note = 'fits' WHERE id = 2");
    ASSERT_TRUE(comes_true([&] { return fold().contains(2); }, 60));
    EXPECT_EQ(fold(), (std::map<int, std::string>{{1, "first"}, {2, "fits"}, {3, "behind it"}}));
    ASSERT_TRUE(comes_true([&] { return !letters().empty(); })) << "a new topic's first record may come late";
    const auto letters = this->letters();
    ASSERT_EQ(letters.size(), 1U);
    EXPECT_EQ(letters[0].at("key").at("id"), 2);
    EXPECT_EQ(letters[0].at("op"), "c");
    EXPECT_EQ(letters[0].at("columns").at(1),
              (nlohmann::json{{"name", "body"}, {"before", nullptr}, {"after", 2'240'000}}));
    EXPECT_THAT(letters[0].dump(), Not(HasSubstr("c4ca4238")));
    EXPECT_TRUE(comes_true([&] { return stream().at("dead_letters") == 1; })) << stream().dump();
    EXPECT_THAT(installation_.get("/metrics").body,
                HasSubstr(R"(keyshift_cdc_dead_letters_total{node="n1",table="public.files"} 1)"));
    EXPECT_THAT(installation_.daemon().output(), HasSubstr("goes to " + topic("keyshift.dead_letter")));
}

TEST_F(OversizeRows, OfASnapshotGoTheSameWayAndTheRestIsComplete)
{
    insert(1, "first");
    insert(2, "large", kLargeText);
    insert(3, "last");
    installation_.must({"table", "capture", "files", "--on-error", "dead-letter"});
    installation_.start_daemon();
    installation_.must({"cdc", "snapshot", "files", "--wait", "--timeout", "120s"});
    EXPECT_TRUE(comes_true([&] { return fold().size() == 2; }, 60));
    EXPECT_EQ(fold(), (std::map<int, std::string>{{1, "first"}, {3, "last"}}));
    const auto ops = [&] {
        std::set<std::string> found;
        for (const auto& letter : letters()) {
            EXPECT_EQ(letter.at("key").at("id"), 2);
            found.insert(letter.at("op"));
        }
        return found;
    };
    EXPECT_TRUE(comes_true([&] { return ops() == std::set<std::string>{"c", "r"}; }));
    EXPECT_EQ(stream().at("state"), "streaming");
}

} // namespace
} // namespace keyshift::test
