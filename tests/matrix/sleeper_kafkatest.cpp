/// A daemon is stopped (SIGSTOP) in the middle of a move for longer than its lease: nobody waits for it, another finishes the
/// move, and when it wakes it does no harm. INV-MOV-1, INV-MOV-2, INV-OPS-3.

#include "tests/matrix/verdict.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <csignal>

namespace keyshift::test {
namespace {

using namespace std::chrono_literals;

constexpr int kUsers = 64;
constexpr int kBucket = 1;

std::string ended(const std::string& job)
{
    return fmt::format(
        "SELECT state = 'done' AND (SELECT bool_and(m.state = 'done') FROM keyshift.move m WHERE m.job = j.id) "
        "FROM keyshift.job j WHERE id = {}",
        job);
}

class Sleeper : public testing::Test {
protected:
    /// The daemon falls asleep there, the other one finishes the job, then the first wakes.
    void sleeps_at(const std::string& failpoint)
    {
        const std::string gate = cluster_.directory().path() + "/gate";
        cluster_.kill_daemon();
        const std::string job = cluster_.start_move(kBucket, 2);
        cluster_.start_daemon(fmt::format("{}=wait:{}@1", failpoint, gate));
        ASSERT_TRUE(cluster_.daemon().wait_for_output("failpoint " + failpoint + " fired", 60s));
        const auto other = cluster_.another_daemon();
        ASSERT_TRUE(other->wait_for_output("standby: ", 60s));
        ASSERT_EQ(::kill(cluster_.daemon().pid(), SIGSTOP), 0);
        const int then = bank_.transfers();
        EXPECT_TRUE(comes_true([&] { return bank_.transfers() > then + 20; })) << "writers wait for a sleeping daemon";
        EXPECT_TRUE(other->wait_for_output("is claimed", 60s));
        EXPECT_TRUE(cluster_.comes_true(kCatalog, ended(job))) << other->output();
        cluster_.directory().write("gate", "");
        ASSERT_EQ(::kill(cluster_.daemon().pid(), SIGCONT), 0);
        EXPECT_TRUE(cluster_.daemon().wait_for_output("this daemon ends", 60s)) << cluster_.daemon().output();
        EXPECT_NE(cluster_.daemon().wait(60s), -1) << "it ends by itself";
        bank_.pause();
        EXPECT_EQ(judge_nodes(cluster_, kBucket, 2), "");
        EXPECT_EQ(judge_rows(bank_, watch_), "");
        EXPECT_EQ(cluster_.value(kCatalog, ended(job)), "t");
    }

    static bool comes_true(const std::function<bool()>& condition)
    {
        for (int tries = 0; tries < 3000; ++tries) {
            if (condition()) {
                return true;
            }
            std::this_thread::sleep_for(20ms);
        }
        return false;
    }

    FaultyCluster cluster_{kUsers};
    Bank bank_{cluster_, {1, 2}, kUsers};
    TopicWatch watch_{cluster_};
};

TEST_F(Sleeper, InTheFenceHoldsNobodyUpAndDoesNoHarmWhenItWakes)
{
    sleeps_at("move.fence.committing");
}

TEST_F(Sleeper, BehindTheFencesCommitLeavesTheRestToAnother)
{
    sleeps_at("move.fence.committed");
}

TEST_F(Sleeper, InTheMiddleOfACopyDoesNotKeepTheCopyToItself)
{
    // More than a chunk of COPY, with as many posts as the user has transfers.
    bank_.pause();
    cluster_.connect(1).script(fmt::format(
        "WITH chosen AS (SELECT min(user_id) AS id FROM public.users WHERE keyshift.bucket_of('public.users', user_id::text) = {}), "
        "raised AS (UPDATE public.users SET turn = turn + 3000 FROM chosen WHERE user_id = chosen.id RETURNING user_id, turn) "
        "INSERT INTO public.posts SELECT user_id, -i, repeat('x', 100) FROM raised, generate_series(1, 3000) i",
        kBucket));
    bank_.raised(cluster_, 3000, kBucket);
    bank_.resume();
    sleeps_at("move.copy.chunk");
}

} // namespace
} // namespace keyshift::test
