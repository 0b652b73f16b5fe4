// Options of `table capture` with the daemon running: what they hide is in no record, no log, no API and no catalog row.
#include "tests/daemon/installation.hpp"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

namespace keyshift::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class CaptureOptions : public testing::Test {
protected:
    CaptureOptions()
    {
        installation_.set_up();
        connection_.emplace(installation_.connect());
        connection_->script(
            "CREATE TABLE public.people (id bigint PRIMARY KEY, email text, phone text, note text);"
            "ALTER TABLE public.people REPLICA IDENTITY FULL;"
            "INSERT INTO public.people SELECT i, 'secret-email', 'secret-phone', 'secret-note' FROM generate_series(1, 3) i");
        const std::string salt = installation_.directory().write("salt", "secret-salt\n");
        std::filesystem::permissions(salt, std::filesystem::perms(0600));
        environment_ = {{"KEYSHIFT_CDC__HASH_SALT_FILE", salt}};
    }

    void capture(std::vector<std::string> options)
    {
        options.insert(options.begin(), {"table", "capture", "people"});
        const Finished done = installation_.keyshift(options, environment_);
        ASSERT_EQ(done.status, 0) << done.err;
    }

    /// All records of the topic once there are `count`, as one text.
    std::string records(std::size_t count) const
    {
        const auto messages =
            read_topic(installation_.servers().kafka(), installation_.prefix() + ".public.people", count);
        EXPECT_EQ(messages.size(), count);
        std::string text;
        for (const kafka::Message& message : messages) {
            text += message.key.value_or("NULL") + " " + message.value.value_or("NULL");
            for (const auto& [name, value] : message.headers) {
                text += " " + name + "=" + value;
            }
            text += "\n";
        }
        return text;
    }

    bool snapshot_done()
    {
        return comes_true(
            [&] { return connection_->query("SELECT FROM keyshift.snapshot WHERE state <> 'done'").rows() == 0; }, 60);
    }

    Installation installation_;
    std::optional<pg::Connection> connection_;
    Environment environment_;
};

TEST_F(CaptureOptions, HiddenValuesAreNowhere)
{
    capture({"--mask", "email=***", "--hash", "phone", "--exclude-columns", "note"});
    installation_.start_daemon(environment_);
    ASSERT_TRUE(snapshot_done());
    connection_->script("INSERT INTO public.people VALUES (4, 'secret-4', 'secret-5', 'secret-6');"
                        "UPDATE public.people SET email = 'secret-7', note = 'secret-8' WHERE id = 4;"
                        "UPDATE public.people SET id = 5 WHERE id = 4;"
                        "DELETE FROM public.people WHERE id = 5");
    // 3 read, an insert, an update, a key change of three, a delete of two.
    const std::string text = records(10);
    EXPECT_THAT(text, Not(HasSubstr("secret")));
    EXPECT_THAT(text, HasSubstr(R"("after":{"id":4,"email":"***","phone":")"));
    EXPECT_THAT(installation_.daemon().output(), Not(HasSubstr("secret")));
    EXPECT_THAT(installation_.get("/v1/status").body, Not(HasSubstr("secret")));
    EXPECT_THAT(installation_.json({"table", "show", "people"}).dump(), Not(HasSubstr("secret")));
    EXPECT_EQ(connection_->query("SELECT count(*) FROM keyshift.captured_table WHERE options::text LIKE '%secret%'")
                  .integer(0, 0),
              0);
}

TEST_F(CaptureOptions, TakeEffectWhileTheDaemonRuns)
{
    capture({});
    installation_.start_daemon(environment_);
    ASSERT_TRUE(snapshot_done());
    EXPECT_THAT(records(3), HasSubstr("secret-note"));
    capture({"--truncate", "note=6"});
    // Not known from outside: when it is in effect.
    std::int64_t id = 100;
    std::string last;
    const auto cut = [&] {
        connection_->query("INSERT INTO public.people (id, note) VALUES ($1::bigint, 'long text')",
                           {std::to_string(++id)});
        const std::string text = records(static_cast<std::size_t>(3 + id - 100));
        last = text;
        return text.find(R"("note":"long t")") != std::string::npos;
    };
    EXPECT_TRUE(comes_true(cut, 60)) << last;
}

TEST_F(CaptureOptions, ARowFilterHoldsForTheStreamAndEverySnapshot)
{
    capture({"--where", "id <> 2"});
    installation_.start_daemon(environment_);
    ASSERT_TRUE(snapshot_done());
    EXPECT_THAT(records(2), Not(HasSubstr(R"({"id":2})")));
    installation_.must({"cdc", "snapshot", "people", "--where", "id < 3", "--wait"});
    connection_->script(
        "UPDATE public.people SET note = 'x' WHERE id = 2; UPDATE public.people SET id = 9 WHERE id = 2");
    const std::string text = records(4);
    EXPECT_THAT(text, Not(HasSubstr(R"({"id":2})")));
    EXPECT_THAT(text, HasSubstr(R"({"id":9} {"before":null)"));
}

TEST_F(CaptureOptions, AMaskedColumnThatIsRenamedStopsTheStream)
{
    capture({"--mask", "email=***"});
    installation_.start_daemon(environment_);
    ASSERT_TRUE(snapshot_done());
    connection_->script("ALTER TABLE public.people RENAME COLUMN email TO mail;"
                        "INSERT INTO public.people VALUES (4, 'secret-4', 'p', 'n')");
    ASSERT_TRUE(
        installation_.daemon().wait_for_output("they may be the same under another name", std::chrono::seconds(60)))
        << installation_.daemon().output();
    capture({"--mask", "email=***", "--mask", "mail=***", "--former-columns", "email"});
    ASSERT_EQ(installation_.stop_daemon(), 0);
    installation_.start_daemon(environment_);
    const std::string text = records(4);
    EXPECT_THAT(text, HasSubstr(R"("mail":"***")"));
    EXPECT_THAT(text, Not(HasSubstr("secret-4")));
}

TEST_F(CaptureOptions, AHashWantsASaltThatOnlyItsOwnerCanRead)
{
    const Finished without = installation_.keyshift({"table", "capture", "people", "--hash", "email"});
    EXPECT_EQ(without.status, 3) << without.err;
    EXPECT_THAT(without.err, HasSubstr("cdc.hash_salt_file"));
    capture({"--hash", "email"});
    std::filesystem::permissions(environment_.at("KEYSHIFT_CDC__HASH_SALT_FILE"), std::filesystem::perms(0644));
    installation_.start_daemon(environment_);
    EXPECT_TRUE(installation_.daemon().wait_for_output("can be read by others", std::chrono::seconds(60)))
        << installation_.daemon().output();
    EXPECT_THAT(installation_.daemon().output(), Not(HasSubstr("secret")));
}

TEST_F(CaptureOptions, HelpShowsAnExampleOfEach)
{
    const Finished help = installation_.keyshift({"table", "capture", "--help"});
    EXPECT_EQ(help.status, 0);
    for (const char* example :
         {"capture users --include-columns", "capture users --exclude-columns", "--mask email=***",
          "--hash email,phone", "--truncate content=200", "--key customer_id,order_id", "--where \"level <> 'debug'\"",
          "--on-error dead-letter", "--defaults", "--former-columns email"}) {
        EXPECT_THAT(help.out, HasSubstr(example));
    }
}

} // namespace
} // namespace keyshift::test
