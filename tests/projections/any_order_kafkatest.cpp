/// INV-PRJ-1 case by case: the events of a short history in every order, twice, in one batch, and beside rows that a backfill has
/// read at any moment of it. At the end a projection of rows and one of groups are what their SELECTs give; totals agree with
/// their rows behind every write.

#include "core/change_event.hpp"
#include "core/json.hpp"
#include "tests/projections/deliveries.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>
#include <random>

namespace keyshift::test {
namespace {

using Scripts = std::vector<std::string>;

struct Case {
    const char* name;
    Scripts history; ///< transactions on public.facts (shop_id, fact_id, user_id, amount, pieces, content)
    bool null_keys = false;
    /// From this event on they come from the bucket's next node, whose positions are lower. 0: it stays.
    std::size_t moves_before = 0;
};

void PrintTo(const Case& history, std::ostream* stream)
{
    *stream << history.name;
}

const std::string kInsert = "INSERT INTO public.facts VALUES ";
const std::string kUpdate = "UPDATE public.facts SET ";
const std::string kDelete = "DELETE FROM public.facts WHERE ";

const Case kCases[] = {
    {"AKeyThatChangesAndComesBack",
     {kInsert + "(1, 1001, 1001, 5, 1, 'a')", kUpdate + "user_id = 1002 WHERE fact_id = 1001",
      kUpdate + "user_id = 1001 WHERE fact_id = 1001", kUpdate + "amount = 7 WHERE fact_id = 1001"}},
    {"APrimaryKeyThatChangesAndComesBack",
     {kInsert + "(1, 1001, 1001, 5, 1, 'a')", kUpdate + "fact_id = 1002 WHERE fact_id = 1001",
      kUpdate + "fact_id = 1001, amount = 6 WHERE fact_id = 1002"}},
    {"APrimaryKeyThatIsUsedAgain",
     {kInsert + "(1, 1001, 1001, 5, 1, 'a')", kDelete + "fact_id = 1001", kInsert + "(1, 1001, 1002, 6, 2, 'b')",
      kUpdate + "pieces = 3 WHERE fact_id = 1001"}},
    {"DeletedAndInsertedInOneTransaction",
     {kInsert + "(1, 1001, 1001, 5, 1, 'a')", kDelete + "fact_id = 1001; " + kInsert + "(1, 1001, 1002, 6, 2, 'b'); " +
                                                  kUpdate + "user_id = 1001, amount = 8 WHERE fact_id = 1001"}},
    {"SeveralVersionsInOneTransaction",
     {kInsert + "(1, 1001, 1001, 5, 1, 'a'); " + kUpdate + "amount = 2 WHERE fact_id = 1001; " + kUpdate +
      "user_id = 1002 WHERE fact_id = 1001; " + kUpdate + "amount = 3 WHERE fact_id = 1001; " + kUpdate +
      "user_id = 1001 WHERE fact_id = 1001"}},
    {"ADeleteBeforeItsInsert",
     {kInsert + "(1, 1001, 1001, 5, 1, 'a'), (1, 1002, 1001, 6, 2, 'b')", kUpdate + "amount = 4 WHERE fact_id = 1001",
      kDelete + "fact_id = 1001"}},
    {"IntoTheFilterAndOutOfItInOneTransaction",
     {kInsert + "(1, 1001, 1001, 0, 0, 'a')",
      kUpdate + "amount = 1, pieces = 1 WHERE fact_id = 1001; " + kUpdate +
          "amount = 0, pieces = 0 WHERE fact_id = 1001",
      kUpdate + "amount = 2, pieces = 2 WHERE fact_id = 1001"}},
    {"OutOfTheFilterAndIntoItInOneTransaction",
     {kInsert + "(1, 1001, 1001, 1, 1, 'a')",
      kUpdate + "amount = 0, pieces = 0 WHERE fact_id = 1001; " + kUpdate +
          "amount = 3, pieces = 3, user_id = 1002 WHERE fact_id = 1001",
      kUpdate + "amount = 0, pieces = 0 WHERE fact_id = 1001"}},
    {"ALongValueThatTheWalLeavesOut",
     {kInsert + "(1, 1001, 1001, 0, 0, repeat('long', 1000))", kUpdate + "amount = 9 WHERE fact_id = 1001",
      kUpdate + "user_id = 1002 WHERE fact_id = 1001", kUpdate + "content = repeat('other', 1000) WHERE fact_id = 1001",
      kUpdate + "pieces = 10 WHERE fact_id = 1001"}},
    {"ALongValueOfARowThatIsDeleted",
     {kInsert + "(1, 1001, 1001, 1, 1, repeat('long', 1000)), (1, 1002, 1001, 1, 1, 'b')",
      kUpdate + "user_id = 1002 WHERE fact_id = 1001", kDelete + "fact_id = 1001"}},
    {"AKeyThatIsNullForAWhile",
     {kInsert + "(1, 1001, NULL, 5, 1, 'a')", kUpdate + "user_id = 1001 WHERE fact_id = 1001",
      kUpdate + "user_id = NULL WHERE fact_id = 1001", kUpdate + "user_id = 1002, amount = NULL WHERE fact_id = 1001"},
     true},
    {"TheLeastAndTheLastOfAGroupGo",
     {kInsert + "(1, 1001, 1001, 5, 1, 'a'), (1, 1002, 1001, 3, 2, 'b'), (1, 1003, 1002, 1, 1, 'c')",
      kDelete + "fact_id = 1002", kDelete + "fact_id = 1003"}},
    {"AGroupThatMoves",
     {kInsert + "(1, 1001, 1001, 5, 1, 'a'), (2, 1002, 1001, 3, 2, 'b')",
      kUpdate + "user_id = 1002 WHERE user_id = 1001"}},
    {"ValuesThatAreNoNumbers",
     {kInsert + "(1, 1001, 1001, 'NaN', 1, 'a'), (1, 1002, 1001, 'Infinity', 2, 'b'), (1, 1003, 1001, 2.50, 1, 'c')",
      kUpdate + "amount = '-Infinity' WHERE fact_id = 1001", kDelete + "fact_id IN (1001)"}},
    {"SumsBeyondTheirValuesType",
     {kInsert + "(1, 1001, 1001, 1, 9223372036854775807, 'a'), (1, 1002, 1001, 1, 9223372036854775807, 'b'), "
                "(1, 1003, 1001, 1, 9223372036854775806, 'c')",
      kUpdate + "pieces = -9223372036854775808 WHERE fact_id = 1001"}},
    {"ABucketThatGoesToANodeWithLowerPositions",
     {kInsert + "(1, 1001, 1001, 5, 1, 'a')", kUpdate + "user_id = 1002, amount = 6 WHERE fact_id = 1001",
      kUpdate + "user_id = 1001 WHERE fact_id = 1001", kUpdate + "amount = 8 WHERE fact_id = 1001"},
     false,
     2},
    {"ARolledBackSubtransaction",
     {"BEGIN; " + kInsert + "(1, 1001, 1001, 5, 1, 'a'); SAVEPOINT s; " + kUpdate +
          "user_id = 1002 WHERE fact_id = 1001; ROLLBACK TO s; " + kUpdate + "amount = 6 WHERE fact_id = 1001; COMMIT",
      "BEGIN; SAVEPOINT s; " + kDelete + "fact_id = 1001; ROLLBACK TO s; SAVEPOINT t; " + kUpdate +
          "user_id = 1003 WHERE fact_id = 1001; RELEASE t; COMMIT"}},
};

struct Kind {
    const char* name;
    const char* sql;
};
const Kind kKinds[] = {
    {"rows",
     "SELECT user_id, fact_id, shop_id, trim_scale(amount) AS amount, length(content) AS size, content FROM public.facts "
     "WHERE amount IS DISTINCT FROM 0"},
    {"groups",
     "SELECT user_id, count(*) AS n, trim_scale(sum(amount)) AS total, sum(pieces) AS pieces, trim_scale(min(amount)) AS least, "
     "max(fact_id) AS newest, count(DISTINCT pieces) AS kinds FROM public.facts WHERE pieces IS DISTINCT FROM 0 "
     "GROUP BY user_id"},
};

class AnyOrder : public testing::TestWithParam<Case> {
protected:
    AnyOrder()
    {
        cluster_.connect(0).script(
            "CREATE TABLE public.facts (shop_id bigint, fact_id bigint, user_id bigint, amount numeric, pieces bigint, "
            "content text, PRIMARY KEY (shop_id, fact_id)); ALTER TABLE public.facts ALTER COLUMN content SET STORAGE EXTERNAL; "
            "INSERT INTO public.facts SELECT i % 7, i, i % 11, i, i % 5, 'fact ' || i FROM generate_series(1, 50) i");
        if (!GetParam().null_keys) {
            cluster_.connect(0).script("ALTER TABLE public.facts ALTER COLUMN user_id SET NOT NULL");
        }
        cluster_.distribute("facts", "shop_id");
        for (const Kind& kind : kKinds) {
            projections::CreateRequest request;
            request.name = kind.name;
            request.key = {"user_id"};
            request.sql = kind.sql;
            request.buckets = 4;
            request.apply = true;
            request.skip_null = GetParam().null_keys;
            projections::create(cluster_.catalog(), request);
        }
        cluster_.wait_until("SELECT bool_and(state = 'live') FROM keyshift.projection");
        cluster_.stop_projections();
    }

    static std::string of_test(const std::string& from)
    {
        return "SELECT r::text FROM " + from + " r WHERE user_id >= " + std::to_string(kFirstOfTest);
    }
    static std::vector<std::string> shown(const Kind& kind, Deliveries& deliveries)
    {
        return deliveries.rows(of_test(std::string("public.") + kind.name));
    }
    std::vector<std::string> wanted(const Kind& kind)
    {
        const pg::Result rows = base_.query(of_test("(" + std::string(kind.sql) + ")"));
        std::vector<std::string> all;
        for (int row = 0; row < rows.rows(); ++row) {
            all.emplace_back(rows.text(row, 0));
        }
        std::sort(all.begin(), all.end());
        return all;
    }

    /// Writes the history, and reads the rows as a backfill would, behind each of its transactions.
    void write_history()
    {
        Deliveries rows(cluster_, kKinds[0].name);
        Deliveries groups(cluster_, kKinds[1].name);
        for (const std::string& script : GetParam().history) {
            base_.script(script);
            const std::string mine = "fact_id >= " + std::to_string(kFirstOfTest) + " AND user_id IS NOT NULL";
            chunks_[0].push_back(rows.read_chunk(mine));
            chunks_[1].push_back(groups.read_chunk(mine));
        }
        events_ = events_of(cluster_, "facts", "fact_id");
        for (std::size_t at = GetParam().moves_before; at > 0 && at < events_.size(); ++at) {
            for (auto& [name, value] : events_[at].headers) {
                if (name == kHeaderPosition) {
                    SourcePosition position = SourcePosition::parse(value).value();
                    position.epoch = Epoch{number(position.epoch) + 1};
                    position.commit_lsn.value /= 2;
                    value = position.to_string();
                }
            }
        }
    }

    /// Each event by itself, then all of them once more.
    void expect_exact_in_every_order(const Kind& kind, Deliveries& deliveries)
    {
        const auto rows = wanted(kind);
        for (const auto& order : orders(events_.size(), 30)) {
            deliveries.clear();
            Events all;
            for (const std::size_t at : order) {
                all.push_back(&events_[at]);
                deliveries.deliver({all.back()});
                ASSERT_EQ(deliveries.wrong_totals(), 0);
            }
            ASSERT_EQ(shown(kind, deliveries), rows) << testing::PrintToString(order);
            deliveries.deliver(all);
            ASSERT_EQ(shown(kind, deliveries), rows) << "again, in one batch, after " << testing::PrintToString(order);
        }
    }

    /// In batches of chance, with rows of a backfill somewhere between.
    void expect_exact_beside_a_backfill(const Kind& kind, Deliveries& deliveries,
                                        const std::vector<std::vector<projections::RowChange>>& chunks)
    {
        const auto rows = wanted(kind);
        std::mt19937 random(11);
        for (const auto& chunk : chunks) {
            for (const auto& order : orders(events_.size() + 1, 6)) {
                deliveries.clear();
                Events batch;
                for (const std::size_t at : order) {
                    if (at == events_.size() || random() % 2 == 0) {
                        deliveries.deliver(std::exchange(batch, {}));
                    }
                    if (at == events_.size()) {
                        deliveries.deliver(chunk);
                    } else {
                        batch.push_back(&events_[at]);
                    }
                }
                deliveries.deliver(batch);
                ASSERT_EQ(deliveries.wrong_totals(), 0);
                ASSERT_EQ(shown(kind, deliveries), rows) << testing::PrintToString(order);
            }
        }
    }

    ProjectedCluster cluster_;
    pg::Connection base_ = cluster_.connect(0);
    std::vector<std::vector<projections::RowChange>> chunks_[2];
    std::vector<kafka::Message> events_;
};

TEST_P(AnyOrder, EndsEqualToTheDefinition)
{
    write_history();
    ASSERT_GT(events_.size(), 2U);
    for (const std::size_t at : {0U, 1U}) {
        SCOPED_TRACE(kKinds[at].name);
        Deliveries deliveries(cluster_, kKinds[at].name);
        ASSERT_NO_FATAL_FAILURE(expect_exact_in_every_order(kKinds[at], deliveries));
        ASSERT_NO_FATAL_FAILURE(expect_exact_beside_a_backfill(kKinds[at], deliveries, chunks_[at]));
    }
    cluster_.start_projections();
    if (GetParam().moves_before == 0) { // else its events in the topic are not those that were delivered
        EXPECT_EQ(cluster_.verify("rows"), "0/0/0");
        EXPECT_EQ(cluster_.verify("groups"), "0/0/0");
    }
}

INSTANTIATE_TEST_SUITE_P(Of, AnyOrder, testing::ValuesIn(kCases),
                         [](const auto& parameter) { return std::string(parameter.param.name); });

} // namespace
} // namespace keyshift::test
