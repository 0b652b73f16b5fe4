#include "resharder/reverse/followed_move.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace keyshift::resharder {

namespace {

constexpr std::size_t kMostChanges = 5000;
constexpr std::size_t kMostBytes = 4U << 20U;

std::size_t bytes_of(const cdc::OwnedTransaction& transaction)
{
    std::size_t bytes = 0;
    for (const cdc::OwnedChange& change : transaction.changes) {
        for (const auto* row : {&change.before, &change.after}) {
            if (*row) {
                for (const cdc::OwnedDatum& datum : **row) {
                    bytes += sizeof datum + datum.text.size();
                }
            }
        }
    }
    return bytes;
}

bool same_columns(const cdc::Relation& relation, const MoveTable& table)
{
    std::set<std::string_view> sent;
    for (const cdc::RelationColumn& column : relation.columns) {
        sent.insert(column.name);
    }
    return sent.size() == table.columns.size() &&
           std::ranges::all_of(table.columns, [&](const MoveColumn& column) { return sent.contains(column.name); });
}

} // namespace

FollowedMove::FollowedMove(BucketMove move, std::vector<MoveTable> tables, Lsn applied)
    : move_(std::move(move)), tables_(std::move(tables)), applied_(applied), reached_(applied)
{
}

bool FollowedMove::full() const
{
    return changes_ >= kMostChanges || bytes_ >= kMostBytes;
}

void FollowedMove::listen(std::unique_ptr<cdc::Subscription> subscription)
{
    if (subscription->begin() <= reached_) {
        subscription_ = std::move(subscription);
        subscription_->confirm(applied_);
    }
}

std::optional<std::string> FollowedMove::objection(const cdc::OwnedTransaction& transaction)
{
    for (const cdc::OwnedChange& change : transaction.changes) {
        if (alike_.contains(change.relation)) {
            continue;
        }
        const auto table = std::ranges::find(tables_, change.relation->name, &MoveTable::leaf);
        if (table == tables_.end() || !same_columns(*change.relation, *table)) {
            return fmt::format("columns of {} are not the same on both nodes any more",
                               change.relation->name.to_string());
        }
        alike_.insert(change.relation);
    }
    return std::nullopt;
}

std::optional<std::string> FollowedMove::gather(std::stop_token stop)
{
    const Lsn received = subscription_->received();
    while (!full()) {
        auto item = subscription_->next(std::chrono::milliseconds(0), stop);
        if (!item) {
            reached_ = std::max(reached_, received);
            break;
        }
        auto* transaction = std::get_if<cdc::OwnedTransaction>(&*item);
        // Before the switch the mover itself wrote there, and what was gathered once may come again.
        if (transaction == nullptr || transaction->end_lsn <= reached_) {
            continue;
        }
        if (auto why = objection(*transaction)) {
            return why;
        }
        reached_ = transaction->end_lsn;
        changes_ += transaction->changes.size();
        bytes_ += bytes_of(*transaction);
        pending_.push_back(std::move(*transaction));
    }
    return std::nullopt;
}

void FollowedMove::applied_up_to(Lsn position)
{
    applied_ = position;
    reached_ = std::max(reached_, position);
    std::erase_if(pending_, [&](const cdc::OwnedTransaction& one) { return one.end_lsn <= position; });
    changes_ = bytes_ = 0;
    for (const cdc::OwnedTransaction& one : pending_) {
        changes_ += one.changes.size();
        bytes_ += bytes_of(one);
    }
    if (subscription_) {
        subscription_->confirm(position);
    }
}

} // namespace keyshift::resharder
