#include "resharder/bucket_comparison.hpp"

#include "core/error.hpp"

#include <future>

namespace keyshift::resharder {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

/// Below this a whole sum takes about a millisecond under the lock.
constexpr std::int64_t kLargeBytes = 256 << 10;
/// Rows summed one by one under the lock.
constexpr std::size_t kMostTouched = 10'000;
/// A snapshot holds vacuum back on both ends.
constexpr auto kLongest = 10min;
/// After so many preparations a try is made with whatever has changed since; the write block limit still holds.
constexpr int kMostPreparations = 5;

/// Runs `work` on another thread while this one goes on with `meanwhile`; the connection is cancelled when that throws.
template <typename Work, typename Meanwhile>
auto beside(pg::Connection& connection, Work work, Meanwhile meanwhile)
{
    auto result = std::async(std::launch::async, std::move(work));
    try {
        meanwhile(result);
    } catch (...) {
        connection.cancel();
        result.wait();
        throw;
    }
    return result.get();
}

std::vector<RowSum> sums_of(pg::Connection& node, const std::vector<MoveTable>& tables,
                            const std::vector<std::string>& leaves)
{
    std::vector<RowSum> sums;
    for (std::size_t i = 0; i < tables.size(); ++i) {
        sums.push_back(leaf_sum(node, tables[i], leaves[i]));
    }
    return sums;
}

} // namespace

BucketComparison::~BucketComparison()
{
    apply_.collect(nullptr);
}

bool BucketComparison::large()
{
    std::int64_t bytes = 0;
    for (const MoveTable& table : context_.tables) {
        bytes += context_.recipient.query("SELECT pg_relation_size($1::regclass)", {table.leaf.quoted()}).integer(0, 0);
    }
    return bytes > kLargeBytes;
}

std::vector<std::string> BucketComparison::donor_leaves() const
{
    std::vector<std::string> leaves;
    for (const MoveTable& table : context_.tables) {
        leaves.push_back(table.leaf.quoted());
    }
    return leaves;
}

std::vector<std::string> BucketComparison::recipient_leaves()
{
    std::vector<std::string> leaves;
    for (const MoveTable& table : context_.tables) {
        leaves.push_back(context_.copy_of(table).quoted());
    }
    return leaves;
}

BucketComparison::End BucketComparison::open_end(pg::Connection connection, std::vector<std::string> leaves) const
{
    connection.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    connection.query("SELECT pg_current_snapshot()"); // the snapshot is taken here
    return {std::move(connection), std::move(leaves), {}};
}

bool BucketComparison::ready() const
{
    return !ahead_ || ahead_->touched.count() <= kMostTouched || prepared_ >= kMostPreparations;
}

void BucketComparison::prepare(std::stop_token stop)
{
    const bool usable = ahead_ && !ahead_->touched.unknown() && ready() && Clock::now() - ahead_->at < kLongest;
    if (usable || !large()) {
        return;
    }
    forget_ahead();
    ++prepared_;
    // Keys are collected before either snapshot is taken: nothing that a snapshot lacks goes by unseen.
    ahead_ = std::make_unique<Ahead>(
        Ahead{TouchedKeys(context_.tables), open_end(context_.connect_donor("compare"), donor_leaves()),
              open_end(context_.connect_recipient("compare"), recipient_leaves()), Clock::now()});
    apply_.collect(&ahead_->touched);
    const auto sum = [this](End& end) {
        return [this, &end] {
            return sums_of(end.snapshot, context_.tables, end.leaves);
        };
    };
    const auto go_on = [&](auto& result) {
        while (result.wait_for(0ms) != std::future_status::ready) {
            apply_.pump(20ms, stop);
            if (stop.stop_requested()) {
                throw TransientError(
                    {"comparing " + context_.move().subject(), "the daemon or the job stops", "nothing"});
            }
        }
    };
    ahead_->donor.sums = beside(ahead_->donor.snapshot, sum(ahead_->donor), go_on);
    ahead_->recipient.sums = beside(ahead_->recipient.snapshot, sum(ahead_->recipient), go_on);
}

void BucketComparison::forget_ahead()
{
    apply_.collect(nullptr);
    ahead_.reset();
}

bool BucketComparison::may_repeat()
{
    const bool ahead = ahead_ != nullptr;
    forget_ahead();
    return ahead && !std::exchange(repeated_, true);
}

std::string BucketComparison::now(End& ahead_end, pg::Connection& present) const
{
    std::vector<RowSum> sums;
    for (std::size_t i = 0; i < context_.tables.size(); ++i) {
        const MoveTable& table = context_.tables[i];
        const KeySet& touched = ahead_->touched.of(i);
        const RowSum before = rows_sum(ahead_end.snapshot, table, ahead_end.leaves[i], touched);
        sums.push_back(ahead_end.sums[i] - before + rows_sum(present, table, ahead_end.leaves[i], touched));
    }
    return describe(context_.tables, sums);
}

std::pair<std::string, std::string> BucketComparison::compare(pg::Connection& locked_donor)
{
    if (ahead_ && ahead_->touched.unknown()) {
        forget_ahead();
    }
    if (ahead_ && ahead_->touched.count() == 0) {
        return {now(ahead_->donor, locked_donor), now(ahead_->recipient, context_.recipient)};
    }
    std::string donor;
    std::string recipient = beside(
        context_.recipient,
        [&] {
            return ahead_ ? now(ahead_->recipient, context_.recipient)
                          : bucket_hash(context_.recipient, context_.tables, recipient_leaves());
        },
        [&](auto&) {
            donor =
                ahead_ ? now(ahead_->donor, locked_donor) : bucket_hash(locked_donor, context_.tables, donor_leaves());
        });
    return {std::move(donor), std::move(recipient)};
}

} // namespace keyshift::resharder
