#include "cdc/source/streamed_transactions.hpp"

#include "core/error.hpp"
#include "tests/cdc/source/message_bytes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace keyshift::test {
namespace {

using cdc::StreamedTransactions;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::uint64_t kTime = 0x1122334455667788;

/// Feeds pgoutput messages and keeps what comes out: "LSN:bytes" each, "nothing until LSN", "pause".
class Feeder {
public:
    explicit Feeder(std::size_t memory_limit = 1U << 20U)
        : transactions_(memory_limit, "/tmp",
                        {[this](const pg::WalMessage& message) {
                             out_.push_back(std::to_string(message.start.value) + ":" + std::string(message.payload));
                         },
                         [this](Lsn end) { out_.push_back("nothing until " + std::to_string(end.value)); },
                         [this] {
                             ++pauses_;
                         }})
    {
    }
    Feeder& message(std::uint64_t lsn, const std::string& payload)
    {
        transactions_.handle({{lsn}, {lsn}, payload});
        return *this;
    }
    Feeder& start(std::uint32_t xid, bool first) { return message(0, MessageBytes('S').u32(xid).u8(first ? 1 : 0)); }
    Feeder& stop() { return message(0, MessageBytes('E')); }
    Feeder& change(std::uint32_t xid, std::uint64_t lsn, const std::string& body)
    {
        return message(lsn, MessageBytes('I').u32(xid).raw(body));
    }
    Feeder& abort(std::uint32_t top, std::uint32_t xid) { return message(0, MessageBytes('A').u32(top).u32(xid)); }
    Feeder& commit(std::uint32_t xid, std::uint64_t lsn)
    {
        return message(lsn + 8, MessageBytes('c').u32(xid).u8(0).u64(lsn).u64(lsn + 8).u64(kTime));
    }
    std::vector<std::string> take() { return std::exchange(out_, {}); }
    StreamedTransactions& transactions() { return transactions_; }
    int pauses() const { return pauses_; }

private:
    std::vector<std::string> out_;
    int pauses_ = 0;
    StreamedTransactions transactions_;
};

std::string begin(std::uint32_t xid, std::uint64_t lsn)
{
    return std::to_string(lsn + 8) + ":" + MessageBytes('B').u64(lsn).u64(kTime).u32(xid).bytes();
}

std::string end(std::uint64_t lsn)
{
    return std::to_string(lsn + 8) + ":" + MessageBytes('C').u8(0).u64(lsn).u64(lsn + 8).u64(kTime).bytes();
}

TEST(StreamedTransactions, AreHandedOverAtTheirCommitAsUnstreamedOnes)
{
    Feeder feeder;
    feeder.start(7, true).change(7, 10, "a").stop().start(8, true).change(8, 20, "b").stop();
    feeder.start(7, false).message(30, MessageBytes('R').u32(7).raw("rel")).change(7, 30, "c").stop();
    EXPECT_THAT(feeder.take(), IsEmpty());
    feeder.message(40, "Bsmall").message(40, "Csmall");
    EXPECT_THAT(feeder.take(), ElementsAre("40:Bsmall", "40:Csmall"));
    feeder.commit(8, 50);
    EXPECT_THAT(feeder.take(), ElementsAre(begin(8, 50), "20:Ib", end(50)));
    feeder.commit(7, 60);
    EXPECT_THAT(feeder.take(), ElementsAre(begin(7, 60), "10:Ia", "30:Rrel", "30:Ic", end(60)));
    EXPECT_EQ(feeder.transactions().open(), 0U);
    EXPECT_EQ(feeder.transactions().memory_bytes(), 0U);
}

TEST(StreamedTransactions, WhatIsRolledBackIsNeverSeen)
{
    Feeder feeder;
    feeder.start(7, true).change(7, 10, "keep").change(8, 11, "gone").change(9, 12, "gone too").stop();
    feeder.abort(7, 9).abort(7, 8).abort(7, 1234);
    feeder.start(7, false).change(7, 13, "kept too").stop();
    feeder.start(20, true).change(20, 14, "all gone").stop().abort(20, 20);
    feeder.commit(7, 50);
    EXPECT_THAT(feeder.take(), ElementsAre(begin(7, 50), "10:Ikeep", "13:Ikept too", end(50)));
    EXPECT_EQ(feeder.transactions().open(), 0U);
}

TEST(StreamedTransactions, OneWithoutAnythingLeftIsNoTransaction)
{
    Feeder feeder;
    feeder.start(7, true).stop().commit(7, 50);
    feeder.start(8, true).change(9, 60, "gone").stop().abort(8, 9).commit(8, 70);
    EXPECT_THAT(feeder.take(), ElementsAre("nothing until 58", "nothing until 78"));
}

TEST(StreamedTransactions, AllTogetherStayBelowTheLimitInMemory)
{
    Feeder feeder(10'000);
    for (std::uint32_t round = 0; round < 200; ++round) {
        for (const std::uint32_t xid : {1U, 2U, 3U}) {
            feeder.start(xid, round == 0).change(xid, round, std::string(100, 'x')).stop();
            ASSERT_LE(feeder.transactions().memory_bytes(), 10'100U) << "heads of one message beyond";
        }
    }
    EXPECT_GT(feeder.transactions().file_bytes(), 50'000U);
    feeder.start(3, false).change(3, 1000, std::string(30'000, 'y')).stop();
    EXPECT_LE(feeder.transactions().memory_bytes(), 10'000U) << "a row larger than the limit does not wait in memory";
    feeder.commit(3, 2000);
    const std::vector<std::string> out = feeder.take();
    ASSERT_EQ(out.size(), 203U);
    EXPECT_EQ(out[1], "0:I" + std::string(100, 'x'));
    EXPECT_EQ(out[200], "199:I" + std::string(100, 'x'));
    EXPECT_EQ(out[201], "1000:I" + std::string(30'000, 'y'));
    feeder.abort(1, 1).abort(2, 2);
    EXPECT_EQ(feeder.transactions().file_bytes() + feeder.transactions().memory_bytes(), 0U);
}

TEST(StreamedTransactions, ALongOneMakesPauses)
{
    Feeder feeder;
    feeder.start(7, true);
    for (std::uint64_t i = 0; i < 5000; ++i) {
        feeder.change(7, i, "x");
    }
    feeder.stop().commit(7, 9000);
    EXPECT_EQ(feeder.pauses(), 2);
}

TEST(StreamedTransactions, AFullDiskIsATransientErrorThatNamesTheDirectory)
{
    StreamedTransactions transactions(10, "/no/such/directory",
                                      {[](const pg::WalMessage&) {}, [](Lsn) {},
                                       [] {
                                       }});
    const std::string start = MessageBytes('S').u32(7).u8(1);
    const std::string change = MessageBytes('I').u32(7).raw("more than ten bytes");
    transactions.handle({{1}, {1}, start});
    try {
        transactions.handle({{1}, {1}, change});
        FAIL();
    } catch (const TransientError& error) {
        EXPECT_THAT(error.parts().what, ::testing::HasSubstr("/no/such/directory"));
        EXPECT_THAT(error.parts().next, ::testing::HasSubstr("spool_directory"));
    }
}

TEST(StreamedTransactions, RefuseWhatIsOutOfOrder)
{
    EXPECT_THROW(Feeder().stop(), FatalError);
    EXPECT_THROW(Feeder().start(7, false), FatalError);
    EXPECT_THROW(Feeder().start(7, true).start(8, true), FatalError);
    EXPECT_THROW(Feeder().start(7, true).stop().start(7, true), FatalError);
    EXPECT_THROW(Feeder().commit(7, 1), FatalError);
    EXPECT_THROW(Feeder().abort(7, 7), FatalError);
    EXPECT_THROW(Feeder().start(7, true).commit(7, 1), FatalError);
    EXPECT_THROW(Feeder().start(7, true).message(1, "I"), FatalError);
    EXPECT_THROW(Feeder().message(1, ""), FatalError);
}

/// One random transaction with nested savepoints, streamed in random pieces, against what it comes to.
class RandomTransaction {
public:
    RandomTransaction(std::uint32_t seed, Feeder& feeder) : random_(seed), feeder_(feeder)
    {
        feeder_.start(top_, true);
        level(top_, 0);
        feeder_.stop().commit(top_, 1'000'000);
    }
    /// The LSNs of the changes that survive.
    const std::vector<std::uint64_t>& kept() const { return kept_; }

private:
    std::uint32_t pick(std::uint32_t count) { return static_cast<std::uint32_t>(random_() % count); }

    void level(std::uint32_t xid, int depth)
    {
        for (std::uint32_t step = pick(8); step > 0; --step) {
            if (depth < 6 && pick(3) == 0) {
                savepoint(depth);
                continue;
            }
            feeder_.change(xid, ++lsn_, std::string(pick(300), 'x'));
            kept_.push_back(lsn_);
            if (pick(4) == 0) {
                feeder_.stop().start(top_, false);
            }
        }
    }
    void savepoint(int depth)
    {
        const std::size_t before = kept_.size();
        const std::size_t children = finished_.size();
        const std::uint32_t xid = ++last_xid_;
        level(xid, depth + 1);
        finished_.push_back(xid);
        if (pick(2) == 0) {
            return;
        }
        // PostgreSQL tells of the children first, and of none that streamed nothing.
        feeder_.stop();
        for (std::size_t child = children; child < finished_.size(); ++child) {
            feeder_.abort(top_, finished_[child]);
        }
        finished_.resize(children);
        feeder_.start(top_, false);
        kept_.resize(before);
    }

    std::mt19937 random_;
    Feeder& feeder_;
    const std::uint32_t top_ = 100;
    std::uint32_t last_xid_ = 100;
    std::uint64_t lsn_ = 0;
    std::vector<std::uint64_t> kept_;
    std::vector<std::uint32_t> finished_;
};

TEST(StreamedTransactions, NestedSavepointsInAnyPiecesComeToWhatWasCommitted)
{
    std::size_t kept = 0;
    for (std::uint32_t seed = 0; seed < 300; ++seed) {
        Feeder feeder(seed % 3 == 0 ? 1U << 20U : 500);
        const RandomTransaction transaction(seed, feeder);
        const std::vector<std::string> out = feeder.take();
        std::vector<std::uint64_t> seen;
        for (std::size_t i = 1; i + 1 < out.size(); ++i) {
            seen.push_back(std::stoull(out[i]));
        }
        ASSERT_EQ(seen, transaction.kept()) << "seed " << seed;
        kept += seen.size();
    }
    EXPECT_GT(kept, 1'000U);
}

} // namespace
} // namespace keyshift::test
