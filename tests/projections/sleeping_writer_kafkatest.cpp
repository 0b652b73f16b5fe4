/// INV-PRJ-1 where two workers hold one projection for theirs: one slept, another has taken over, the sleeper wakes. Corners of
/// docs/invariants.md, with the real writer on real servers.

#include "core/backoff.hpp"
#include "core/error.hpp"
#include "tests/projections/deliveries.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>

namespace keyshift::test {
namespace {

using namespace std::chrono_literals;

struct Kind {
    const char* name;
    const char* sql;
};
const Kind kKinds[] = {
    {"by_user", "SELECT user_id, like_id, post_id, amount FROM likes"},
    {"sums",
     "SELECT user_id, count(*) AS n, sum(amount) AS amount, max(like_id) AS newest FROM likes GROUP BY user_id"}};

/// Two workers of each of two projections; the second one owns them by now. One event inserts a row, the next one changes its key.
class SleepingWriter : public testing::Test {
protected:
    SleepingWriter()
    {
        for (const Kind& kind : kKinds) {
            cluster_.create(kind.name, "user_id", kind.sql);
        }
        cluster_.wait_until("SELECT bool_and(state = 'live') FROM keyshift.projection");
        cluster_.stop_projections();
        base_.script("INSERT INTO public.likes VALUES (1, 1001, 1001, 5, 'a'); "
                     "UPDATE public.likes SET user_id = 1002, amount = 6 WHERE like_id = 1001");
        events_ = events_of(cluster_, "likes", "like_id");
    }

    std::vector<std::string> shown(const Kind& kind)
    {
        return cluster_.rows(
            fmt::format("SELECT r::text FROM public.{} r WHERE user_id >= {}", kind.name, kFirstOfTest));
    }
    /// Registers of the test's row, tombstones too.
    std::vector<std::string> registers(const Kind& kind)
    {
        return cluster_.rows(fmt::format("SELECT user_id::text || _live FROM keyshift.{}__g1 WHERE like_id >= {}",
                                         kind.name, kFirstOfTest));
    }
    std::vector<std::string> progress(const Kind& kind)
    {
        return cluster_.rows(fmt::format(
            "SELECT partition || ' ' || next_offset || ' ' || owner_epoch FROM keyshift.projection_progress "
            "WHERE projection = '{}'",
            kind.name));
    }
    void expect_exact(const Kind& kind, Deliveries& owner)
    {
        const std::string wanted = kind.name == std::string("sums") ? "(1002,1,6,1001)" : "(1002,1001,1,6)";
        EXPECT_EQ(shown(kind), std::vector<std::string>{wanted}) << kind.name;
        EXPECT_EQ(owner.wrong_totals(), 0) << kind.name;
    }

    ProjectedCluster cluster_;
    pg::Connection base_ = cluster_.connect(0);
    std::vector<kafka::Message> events_;
};

TEST_F(SleepingWriter, WritesNothingOnAnyNodeOnceItsPlaceIsTaken)
{
    ASSERT_EQ(events_.size(), 2U);
    for (const Kind& kind : kKinds) {
        SCOPED_TRACE(kind.name);
        Deliveries sleeper(cluster_, kind.name);
        sleeper.take_over();
        Deliveries owner(cluster_, kind.name);
        owner.take_over();
        const auto told = progress(kind);
        EXPECT_THROW(sleeper.deliver({&events_[0]}), TransientError) << "no progress to tell yet";
        EXPECT_THROW(sleeper.deliver({&events_[1]}), TransientError)
            << "a row at its new key comes before its tombstone, in a transaction without progress";
        EXPECT_EQ(registers(kind), std::vector<std::string>{});
        owner.deliver({&events_[0]});
        owner.deliver({&events_[1]});
        const auto after = progress(kind);
        EXPECT_NE(after, told);
        EXPECT_THROW(sleeper.deliver({&events_[0]}), TransientError);
        EXPECT_EQ(progress(kind), after);
        expect_exact(kind, owner);
    }
}

/// It slept behind its check and before its COMMIT: what it writes then is an event that the owner has or will have, and loses against what is newer.
TEST_F(SleepingWriter, ThatWakesInItsCommitDoesNoHarm)
{
    for (const Kind& kind : kKinds) {
        SCOPED_TRACE(kind.name);
        for (const std::size_t at : {0U, 1U}) { // COMMIT waits for the test
            cluster_.connect(at).script(fmt::format(
                "CREATE OR REPLACE FUNCTION public.hold() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN NULL; END $$; "
                "CREATE CONSTRAINT TRIGGER hold AFTER INSERT OR UPDATE ON keyshift.{}__g1 DEFERRABLE INITIALLY DEFERRED "
                "FOR EACH ROW EXECUTE FUNCTION public.hold()",
                kind.name));
        }
        Deliveries sleeper(cluster_, kind.name);
        sleeper.take_over();
        pg::Connection holders[] = {cluster_.connect(0), cluster_.connect(1)};
        for (pg::Connection& holder : holders) {
            holder.query("SELECT pg_advisory_lock(7)");
        }
        auto sleeping = std::async(std::launch::async, [&] { sleeper.deliver({&events_[0]}); });
        const auto waiting = [&] {
            int sessions = 0;
            for (pg::Connection& holder : holders) {
                sessions += std::stoi(one(
                    holder, fmt::format("SELECT count(*) FROM pg_stat_activity WHERE {} = ANY(pg_blocking_pids(pid))",
                                        holder.backend_pid())));
            }
            return sessions > 0;
        };
        for (int tries = 0; tries < 1500 && !waiting(); ++tries) {
            sleep_for(20ms, {});
        }
        ASSERT_TRUE(waiting());
        Deliveries owner(cluster_, kind.name);
        owner.take_over();
        auto owning = std::async(std::launch::async, [&] {
            owner.deliver({&events_[1]});
            owner.deliver({&events_[0]});
        });
        for (pg::Connection& holder : holders) {
            holder.query("SELECT pg_advisory_unlock(7)");
        }
        sleeping.get();
        owning.get();
        expect_exact(kind, owner);
        EXPECT_THROW(sleeper.deliver({&events_[0]}), TransientError);
    }
}

} // namespace
} // namespace keyshift::test
