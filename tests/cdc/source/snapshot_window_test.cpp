#include "cdc/source/snapshot_window.hpp"

#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

using namespace cdc;

class SnapshotWindowTest : public testing::Test {
protected:
    SnapshotWindowTest()
    {
        auto table = std::make_shared<TableSchema>();
        table->root = {"public", "items"};
        table->columns.resize(2);
        table->key = {0};
        chunk_->id = "1";
        chunk_->table = table;
        chunk_->snapshot = {100, 110, {104}};
        window_.session_started();
        window_.expect(chunk_);
    }
    void deliver(std::uint32_t xid) { delivered_.add(xid); }
    void low()
    {
        deliver(105); // the marker's own
        window_.low("1", delivered_);
    }
    std::shared_ptr<SnapshotChunk> high()
    {
        window_.fill();
        return window_.high("1", delivered_);
    }
    void change(ChangeKind kind, std::optional<std::string_view> before, std::optional<std::string_view> after)
    {
        Change change;
        change.kind = kind;
        change.before = before ? std::optional(row(*before)) : std::nullopt;
        change.after = after ? std::optional(row(*after)) : std::nullopt;
        window_.note(*chunk_->table, BucketId{0}, change);
    }
    static Tuple row(std::string_view key) { return {{Datum::Kind::text, key}, {Datum::Kind::null, {}}}; }

    std::shared_ptr<SnapshotChunk> chunk_ = std::make_shared<SnapshotChunk>();
    DeliveredTransactions delivered_;
    SnapshotWindow window_;
};

TEST_F(SnapshotWindowTest, RowsChangedBetweenTheMarkersAreLeftOut)
{
    low();
    change(ChangeKind::insert, {}, "1");
    change(ChangeKind::update, "2", "3");
    change(ChangeKind::remove, "4", {});
    ASSERT_TRUE(high());
    for (const char* touched : {"1", "2", "3", "4"}) {
        EXPECT_TRUE(window_.superseded(*chunk_, row(touched))) << touched;
    }
    EXPECT_FALSE(window_.superseded(*chunk_, row("5")));
    window_.published(Lsn{77});
    const auto outcome = window_.wait({});
    EXPECT_TRUE(outcome.published);
    EXPECT_EQ(outcome.end_lsn, Lsn{77});
}

TEST_F(SnapshotWindowTest, AReconnectionInBetweenMeansAgain)
{
    low();
    window_.session_started();
    EXPECT_FALSE(window_.wait({}).published);
}

TEST_F(SnapshotWindowTest, AHighMarkerWithoutItsLowMarkerMeansAgain)
{
    EXPECT_FALSE(high());
    EXPECT_FALSE(window_.wait({}).published);
}

TEST_F(SnapshotWindowTest, ATruncateInBetweenMeansAgain)
{
    low();
    change(ChangeKind::truncate, {}, {});
    EXPECT_FALSE(high());
    EXPECT_FALSE(window_.wait({}).published);
}

TEST_F(SnapshotWindowTest, ATransactionPublishedBeforeButNotVisibleToTheRowsMeansAgain)
{
    deliver(104);
    low();
    EXPECT_FALSE(high());
    EXPECT_FALSE(window_.wait({}).published);
}

TEST_F(SnapshotWindowTest, OnePublishedInTheWindowNeedNotBeVisible)
{
    deliver(99);
    deliver(103);
    low();
    deliver(104);
    deliver(200);
    EXPECT_TRUE(high());
}

TEST_F(SnapshotWindowTest, MarkersOfOthersMeanNothing)
{
    deliver(105);
    window_.low("other", delivered_);
    EXPECT_FALSE(window_.open());
    EXPECT_FALSE(window_.high("other", delivered_));
}

TEST(RowSnapshot, ShowsWhatPostgresqlWouldShow)
{
    const auto snapshot = RowSnapshot::parse("100:110:101,105");
    ASSERT_TRUE(snapshot);
    EXPECT_TRUE(snapshot->shows(99));
    EXPECT_TRUE(snapshot->shows(100));
    EXPECT_FALSE(snapshot->shows(101));
    EXPECT_FALSE(snapshot->shows(105));
    EXPECT_TRUE(snapshot->shows(109));
    EXPECT_FALSE(snapshot->shows(110));
    // Xids go round: 4294967290 is before 100 when the counter has wrapped.
    EXPECT_TRUE(snapshot->shows(4'294'967'290U));
    const auto wrapped = RowSnapshot::parse("4294967396:4294967406:");
    ASSERT_TRUE(wrapped);
    EXPECT_TRUE(wrapped->shows(99));
    EXPECT_FALSE(RowSnapshot::parse("100"));
    EXPECT_FALSE(RowSnapshot::parse("a:b:c"));
}

} // namespace
} // namespace keyshift::test
