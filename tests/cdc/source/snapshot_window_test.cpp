#include "cdc/source/snapshot_window.hpp"

#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

using namespace cdc;

class SnapshotWindowTest : public testing::Test {
protected:
    using Fate = SnapshotChunk::Fate;

    SnapshotWindowTest()
    {
        auto table = std::make_shared<TableSchema>();
        table->root = {"public", "items"};
        table->columns.resize(2);
        table->key = {0};
        auto source = std::make_shared<SnapshotSource>();
        source->table = table;
        source_ = source;
        chunk_ = chunk("1");
        windows_.session_started();
        windows_.expect(chunk_);
    }
    std::shared_ptr<SnapshotChunk> chunk(const std::string& id)
    {
        auto made = std::make_shared<SnapshotChunk>();
        made->id = id;
        made->source = source_;
        made->snapshot = {100, 110, {104}};
        return made;
    }
    void deliver(std::uint32_t xid) { delivered_.add(xid); }
    void low(const std::string& id = "1")
    {
        deliver(105); // the marker's own
        windows_.low(id, delivered_);
    }
    std::shared_ptr<SnapshotChunk> high()
    {
        windows_.fill(chunk_);
        return windows_.high("1", delivered_);
    }
    void change(ChangeKind kind, std::optional<std::string_view> before, std::optional<std::string_view> after,
                Datum::Kind value = Datum::Kind::null)
    {
        Change change;
        change.kind = kind;
        change.before = before ? std::optional(row(*before)) : std::nullopt;
        change.after = after ? std::optional(row(*after, value)) : std::nullopt;
        windows_.note(*source_->table, BucketId{0}, change);
    }
    bool left_out(std::string_view key, const std::shared_ptr<SnapshotChunk>& of)
    {
        return windows_.judge(*of, row(key)) == SnapshotWindows::Row::leave_out;
    }
    static Tuple row(std::string_view key, Datum::Kind value = Datum::Kind::null)
    {
        return {{Datum::Kind::text, key}, {value, {}}};
    }

    std::shared_ptr<const SnapshotSource> source_;
    std::shared_ptr<SnapshotChunk> chunk_;
    DeliveredTransactions delivered_;
    SnapshotWindows windows_;
};

TEST_F(SnapshotWindowTest, RowsChangedBetweenTheMarkersAreLeftOut)
{
    low();
    change(ChangeKind::insert, {}, "1");
    change(ChangeKind::update, "2", "3");
    change(ChangeKind::remove, "4", {});
    ASSERT_TRUE(high());
    for (const char* touched : {"1", "2", "3", "4"}) {
        EXPECT_TRUE(left_out(touched, chunk_)) << touched;
    }
    EXPECT_FALSE(left_out("5", chunk_));
    windows_.published(chunk_, 77);
    EXPECT_EQ(windows_.fate(*chunk_), Fate::published);
    EXPECT_EQ(chunk_->records, 77U);
    EXPECT_FALSE(windows_.open());
}

TEST_F(SnapshotWindowTest, RowsChangedWhileTheChunkIsBeingPublishedAreLeftOut)
{
    low();
    ASSERT_TRUE(high());
    EXPECT_FALSE(left_out("1", chunk_));
    change(ChangeKind::update, {}, "2");
    EXPECT_TRUE(left_out("2", chunk_));
}

TEST_F(SnapshotWindowTest, AChunkThatIsOpenedLaterDoesNotLeaveOutWhatChangedBefore)
{
    low();
    change(ChangeKind::update, {}, "1");
    const auto later = chunk("2");
    windows_.expect(later);
    low("2");
    change(ChangeKind::update, {}, "2");
    windows_.fill(later);
    ASSERT_TRUE(windows_.high("2", delivered_));
    EXPECT_FALSE(left_out("1", later));
    EXPECT_TRUE(left_out("2", later));
    EXPECT_TRUE(left_out("1", chunk_));
}

TEST_F(SnapshotWindowTest, ARowWhoseEventLacksValuesIsReadAgainByItsKey)
{
    low();
    change(ChangeKind::update, {}, "1", Datum::Kind::unchanged_toast);
    change(ChangeKind::update, {}, "2", Datum::Kind::unchanged_toast);
    change(ChangeKind::update, {}, "2", Datum::Kind::text);
    ASSERT_TRUE(high());
    EXPECT_TRUE(left_out("1", chunk_));
    EXPECT_TRUE(left_out("2", chunk_));
    EXPECT_EQ(chunk_->partly, std::vector<RowKey>{{"1"}});
}

class MovedRowsTest : public testing::Test {
protected:
    MovedRows::Taken take(const std::string& chunk, const std::vector<RowKey>& only_of = {})
    {
        return moved_.take(items_, BucketId{0}, only_of, chunk);
    }
    void note(const char* from, const char* to, std::uint64_t commit)
    {
        moved_.note(items_, BucketId{0}, {from}, {to}, Lsn{commit});
    }

    const QualifiedName items_{"public", "items"};
    MovedRows moved_;
};

TEST_F(MovedRowsTest, HoldTheSlotUntilWhatWasTakenIsReleased)
{
    EXPECT_FALSE(moved_.hold());
    note("1", "2", 70);
    note("3", "4", 60);
    EXPECT_EQ(moved_.hold(), Lsn{60});
    EXPECT_EQ(take("a").keys, (std::vector<RowKey>{{"2"}, {"4"}}));
    EXPECT_TRUE(take("b").keys.empty());
    EXPECT_EQ(moved_.hold(), Lsn{60});
    moved_.release("a");
    EXPECT_FALSE(moved_.hold());
}

TEST_F(MovedRowsTest, AreGivenBackByAReaderThatGaveUp)
{
    note("1", "2", 70);
    take("a");
    moved_.give_back();
    EXPECT_EQ(moved_.hold(), Lsn{70});
    EXPECT_EQ(take("b").keys, std::vector<RowKey>{{"2"}});
}

TEST_F(MovedRowsTest, OfKeysThatAreReadAgainOnlyThoseWhichMovedOnceMore)
{
    note("1", "2", 70);
    note("5", "6", 80);
    EXPECT_EQ(take("a", {{"5"}, {"7"}}).keys, std::vector<RowKey>{{"6"}});
    EXPECT_EQ(take("b").keys, std::vector<RowKey>{{"2"}});
}

TEST_F(MovedRowsTest, TooManyToRememberMeanAll)
{
    for (std::uint64_t i = 0; i < 60'000; ++i) {
        note("1", "2", 100 + i);
    }
    EXPECT_EQ(moved_.hold(), Lsn{100});
    const MovedRows::Taken taken = take("a");
    EXPECT_TRUE(taken.all);
    EXPECT_TRUE(taken.keys.empty());
    EXPECT_EQ(moved_.hold(), Lsn{100});
    moved_.release("a");
    EXPECT_FALSE(moved_.hold());
}

TEST_F(MovedRowsTest, OfTablesThatAreReadNoMoreAreForgotten)
{
    note("1", "2", 70);
    moved_.keep_only({{"public", "items"}});
    EXPECT_TRUE(moved_.hold());
    take("a");
    note("3", "4", 80);
    moved_.keep_only({});
    EXPECT_FALSE(moved_.hold()) << "neither what was noted nor what a cancelled reading had taken";
}

TEST_F(SnapshotWindowTest, ARowWhoseKeyChangedAndWhoseEventLacksValuesIsReadAgainByItsNewKey)
{
    low();
    Change moved;
    moved.kind = ChangeKind::update;
    moved.before = row("1");
    moved.after = row("2", Datum::Kind::unchanged_toast);
    windows_.note_moved(*source_->table, BucketId{0}, moved, Lsn{5});
    moved.after = row("3", Datum::Kind::text);
    windows_.note_moved(*source_->table, BucketId{0}, moved, Lsn{6});
    ASSERT_TRUE(high());
    windows_.published(chunk_, 1);
    EXPECT_EQ(chunk_->moved.keys, std::vector<RowKey>{{"2"}});
    EXPECT_EQ(windows_.moved().hold(), Lsn{5});
}

TEST_F(SnapshotWindowTest, AReconnectionInBetweenMeansAgain)
{
    low();
    windows_.session_started();
    EXPECT_EQ(windows_.fate(*chunk_), Fate::again);
    EXPECT_FALSE(windows_.valid(*chunk_));
}

TEST_F(SnapshotWindowTest, AHighMarkerWithoutItsLowMarkerMeansAgain)
{
    EXPECT_FALSE(high());
    EXPECT_EQ(windows_.fate(*chunk_), Fate::again);
}

TEST_F(SnapshotWindowTest, ATruncateInBetweenMeansAgain)
{
    low();
    change(ChangeKind::truncate, {}, {});
    EXPECT_FALSE(high());
    EXPECT_EQ(windows_.fate(*chunk_), Fate::again);
}

TEST_F(SnapshotWindowTest, ATruncateWhileTheChunkIsBeingPublishedStopsIt)
{
    low();
    ASSERT_TRUE(high());
    EXPECT_TRUE(windows_.valid(*chunk_));
    change(ChangeKind::truncate, {}, {});
    EXPECT_FALSE(windows_.valid(*chunk_));
}

TEST_F(SnapshotWindowTest, MoreChangedKeysThanAreRememberedMeanAgain)
{
    low();
    for (int key = 0; key <= 200'000; ++key) {
        change(ChangeKind::insert, {}, std::to_string(key));
    }
    EXPECT_FALSE(high());
    EXPECT_EQ(windows_.fate(*chunk_), Fate::again);
}

TEST_F(SnapshotWindowTest, ATransactionPublishedBeforeButNotVisibleToTheRowsMeansAgain)
{
    deliver(104);
    low();
    EXPECT_FALSE(high());
    EXPECT_EQ(windows_.fate(*chunk_), Fate::again);
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
    windows_.low("other", delivered_);
    EXPECT_FALSE(windows_.open());
    EXPECT_FALSE(windows_.high("other", delivered_));
    EXPECT_EQ(windows_.fate(*chunk_), Fate::pending);
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
