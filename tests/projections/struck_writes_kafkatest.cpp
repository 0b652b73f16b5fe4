/// INV-PRJ-1 where a write of a projection fails at each of its statements, or its outcome is not told: the same rows at the end,
/// no rejection, and totals that agree with their rows.

#include "catalog/node_access.hpp"
#include "core/backoff.hpp"
#include "core/error.hpp"
#include "projections/commands/totals_check.hpp"
#include "projections/projection_record.hpp"
#include "tests/projections/projected_cluster.hpp"
#include "tests/support/tcp_proxy.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace keyshift::test {
namespace {

using namespace std::chrono_literals;

const char* const kByUser = "SELECT user_id, like_id, post_id, amount FROM public.likes";
const char* const kSums =
    "SELECT user_id, count(*) AS n, sum(amount) AS amount, max(like_id) AS newest FROM public.likes GROUP BY user_id";

class StruckWrites : public testing::Test {
protected:
    StruckWrites()
    {
        cluster_.create("by_user", "user_id", kByUser);
        cluster_.create("sums", "user_id", kSums);
        cluster_.wait_until("SELECT bool_and(state = 'live') FROM keyshift.projection");
    }

    /// Every row changes its user, so that both nodes get rows and lose some.
    void change() { base_.script("UPDATE public.likes SET user_id = (user_id + 7) % 20, amount = like_id % 5"); }

    void expect_exact()
    {
        for (const auto& [name, sql] : {std::pair("by_user", kByUser), std::pair("sums", kSums)}) {
            std::vector<std::string> wanted;
            const pg::Result rows = base_.query(std::string("SELECT r::text FROM (") + sql + ") r");
            for (int row = 0; row < rows.rows(); ++row) {
                wanted.emplace_back(rows.text(row, 0));
            }
            std::sort(wanted.begin(), wanted.end());
            EXPECT_EQ(cluster_.rows_once(std::string("SELECT r::text FROM public.") + name + " r", wanted), wanted)
                << name;
        }
        std::vector<catalog::OpenNode> nodes = catalog::open_nodes(cluster_.catalog(), "test");
        EXPECT_EQ(projections::check_totals(nodes, projections::read_projection(cluster_.catalog(), "sums").definition)
                      .different,
                  0);
        EXPECT_EQ(one(cluster_.catalog(), "SELECT count(*) FROM keyshift.rejection"), "0");
        EXPECT_EQ(one(cluster_.catalog(), "SELECT count(*) FROM keyshift.projection WHERE error IS NOT NULL"), "0");
    }

    bool comes_true(pg::Connection& node, const std::string& query)
    {
        for (int tries = 0; tries < 1500; ++tries) {
            if (one(node, query) == "t") {
                return true;
            }
            sleep_for(20ms, {});
        }
        ADD_FAILURE() << "never true: " << query;
        return false;
    }

    ProjectedCluster cluster_;
    pg::Connection base_ = cluster_.connect(0);
};

struct Place {
    const char* name;
    const char* trigger; ///< CREATE ... {}: the projection's table
};
/// The first live row, the first tombstone, the progress, the COMMIT.
const Place kPlaces[] = {
    {"a live row",
     "CREATE TRIGGER strike BEFORE INSERT OR UPDATE ON {} FOR EACH ROW WHEN (NEW._live) EXECUTE FUNCTION public.strike()"},
    {"a tombstone",
     "CREATE TRIGGER strike BEFORE INSERT OR UPDATE ON {} FOR EACH ROW WHEN (NOT NEW._live) EXECUTE FUNCTION public.strike()"},
    {"the commit",
     "CREATE CONSTRAINT TRIGGER strike AFTER INSERT OR UPDATE ON {} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.strike()"},
    {"the progress",
     "CREATE TRIGGER strike BEFORE UPDATE ON keyshift.projection_progress FOR EACH ROW EXECUTE FUNCTION public.strike()"},
};
const char* const kStates[] = {"40001", "40P01", "53100", "53200", "57014"};
const char* const kEnded = "ended"; ///< the session

/// Strikes once, whatever becomes of the transaction: a sequence is not rolled back.
std::string strike_function(const std::string& what)
{
    const std::string act = what == kEnded ? "PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(10);"
                                           : "RAISE EXCEPTION 'struck' USING ERRCODE = '" + what + "';";
    return "DROP SEQUENCE IF EXISTS public.strikes; CREATE SEQUENCE public.strikes; "
           "CREATE OR REPLACE FUNCTION public.strike() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
           "IF nextval('public.strikes') = 1 THEN " +
           act + " END IF; RETURN NEW; END $$";
}

TEST_F(StruckWrites, AtEachStatementOfEachNodeAreMadeAgain)
{
    std::size_t next = 0;
    for (const std::size_t at : {0U, 1U}) {
        pg::Connection node = cluster_.connect(at);
        for (const Place& place : kPlaces) {
            for (const char* table : {"keyshift.by_user__g1", "keyshift.sums__g1"}) {
                for (const char* strike : {kStates[next++ % std::size(kStates)], kEnded}) {
                    SCOPED_TRACE(fmt::format("n{} {} {} {}", at + 1, place.name, table, strike));
                    node.script(strike_function(strike));
                    node.script(fmt::format(fmt::runtime(place.trigger), table));
                    change();
                    ASSERT_TRUE(comes_true(node, "SELECT is_called FROM public.strikes"));
                    ASSERT_NO_FATAL_FAILURE(expect_exact());
                    node.script("DROP FUNCTION public.strike() CASCADE");
                }
            }
        }
    }
}

/// The session that locks its buckets is ended while it waits for them.
TEST_F(StruckWrites, InTheLockOfTheirBucketsAreMadeAgain)
{
    for (const std::size_t at : {0U, 1U}) {
        pg::Connection holder = cluster_.connect(at);
        pg::Connection node = cluster_.connect(at);
        pg::Transaction transaction(holder);
        holder.query("SELECT FROM keyshift.local_bucket WHERE group_name IN ('by_user', 'sums') FOR UPDATE");
        change();
        const std::string waiting =
            fmt::format("FROM pg_stat_activity WHERE {} = ANY(pg_blocking_pids(pid))", holder.backend_pid());
        ASSERT_TRUE(comes_true(node, "SELECT count(*) = 2 " + waiting));
        node.query("SELECT pg_terminate_backend(pid) " + waiting);
        transaction.commit();
        expect_exact();
    }
}

/// The node has committed, and nobody hears of it.
TEST_F(StruckWrites, WhoseCommitIsNotAnsweredAreMadeAgainWithoutHarm)
{
    for (const std::size_t at : {0U, 1U}) {
        pg::Connection node = cluster_.connect(at);
        TcpProxy proxy(std::stoi(one(node, "SELECT current_setting('port')")));
        const std::string name = fmt::format("n{}", at + 1);
        const std::string dsn = one(cluster_.catalog(), "SELECT dsn FROM keyshift.node WHERE name = '" + name + "'");
        cluster_.stop_projections();
        cluster_.catalog().query("UPDATE keyshift.node SET dsn = regexp_replace($2, 'port=[0-9]+', $3) WHERE name = $1",
                                 {name, dsn, fmt::format("port={}", proxy.port())});
        cluster_.start_projections();
        // COMMIT waits for the test.
        node.script("CREATE OR REPLACE FUNCTION public.strike() RETURNS trigger LANGUAGE plpgsql AS "
                    "$$ BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN NULL; END $$");
        for (const char* table : {"keyshift.by_user__g1", "keyshift.sums__g1"}) {
            node.script(fmt::format(fmt::runtime(kPlaces[2].trigger), table));
        }
        pg::Connection holder = cluster_.connect(at);
        holder.query("SELECT pg_advisory_lock(7)");
        change();
        const std::string waiting =
            fmt::format("FROM pg_stat_activity WHERE {} = ANY(pg_blocking_pids(pid))", holder.backend_pid());
        ASSERT_TRUE(comes_true(node, "SELECT count(*) = 2 " + waiting));
        proxy.lose_answers();
        holder.query("SELECT pg_advisory_unlock(7)");
        ASSERT_TRUE(comes_true(node, "SELECT count(*) = 0 FROM pg_locks WHERE locktype = 'advisory' AND database = "
                                     "(SELECT oid FROM pg_database WHERE datname = current_database())"));
        const auto wait_for = [](const auto& done) {
            for (int tries = 0; tries < 1500 && !done(); ++tries) {
                sleep_for(20ms, {});
            }
            return done();
        };
        ASSERT_TRUE(wait_for([&] { return proxy.lost() > 0; }));
        proxy.cut();
        ASSERT_TRUE(wait_for([&] { return proxy.refused() > 0; }));
        proxy.mend();
        expect_exact();
        node.script("DROP FUNCTION public.strike() CASCADE");
        cluster_.stop_projections();
        cluster_.catalog().query("UPDATE keyshift.node SET dsn = $2 WHERE name = $1", {name, dsn});
        cluster_.start_projections();
    }
}

} // namespace
} // namespace keyshift::test
