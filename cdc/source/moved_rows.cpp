#include "cdc/source/moved_rows.hpp"

#include <algorithm>
#include <iterator>

namespace keyshift::cdc {

namespace {

/// Of one bucket; beyond it the bucket is read again rather than remember more (INV-OPS-1).
constexpr std::size_t kMostMoves = 50'000;

std::optional<Lsn> least(std::optional<Lsn> left, std::optional<Lsn> right)
{
    return left && right ? std::min(*left, *right) : left ? left : right;
}

} // namespace

std::optional<Lsn> MovedRows::Moves::oldest() const
{
    std::optional<Lsn> found = all_since;
    for (const Move& move : moves) {
        found = least(found, move.commit);
    }
    return found;
}

void MovedRows::Moves::forget_above_limit()
{
    if (moves.size() > kMostMoves) {
        all_since = oldest();
        moves.clear();
    }
}

void MovedRows::note(const QualifiedName& root, BucketId bucket, RowKey from, RowKey to, Lsn commit)
{
    std::scoped_lock lock(mutex_);
    Moves& noted = noted_[{root, bucket}];
    if (!noted.all_since) {
        noted.moves.push_back({std::move(from), std::move(to), commit});
        noted.forget_above_limit();
    }
}

MovedRows::Taken MovedRows::take(const QualifiedName& root, BucketId bucket, const std::vector<RowKey>& only_of,
                                 const std::string& id)
{
    std::scoped_lock lock(mutex_);
    const auto found = noted_.find({root, bucket});
    if (found == noted_.end()) {
        return {};
    }
    std::vector<Move>& noted = found->second.moves;
    const auto left = std::stable_partition(noted.begin(), noted.end(), [&](const Move& move) {
        return only_of.empty() || std::ranges::find(only_of, move.from) != only_of.end();
    });
    Moves taken{{std::make_move_iterator(noted.begin()), std::make_move_iterator(left)},
                std::exchange(found->second.all_since, std::nullopt)};
    noted.erase(noted.begin(), left);
    if (noted.empty()) {
        noted_.erase(found);
    }
    Taken result{{}, taken.all_since.has_value()};
    for (const Move& move : taken.moves) {
        result.keys.push_back(move.to);
    }
    if (taken.oldest()) {
        taken_[id] = {{root, bucket}, std::move(taken)};
    }
    return result;
}

void MovedRows::release(const std::string& id)
{
    std::scoped_lock lock(mutex_);
    taken_.erase(id);
}

void MovedRows::give_back()
{
    std::scoped_lock lock(mutex_);
    for (auto& [id, entry] : taken_) {
        auto& [part, taken] = entry;
        Moves& noted = noted_[part];
        noted.all_since = least(noted.all_since, taken.all_since);
        std::ranges::move(taken.moves, std::back_inserter(noted.moves));
        noted.forget_above_limit();
    }
    taken_.clear();
}

void MovedRows::keep_only(const std::set<QualifiedName>& roots)
{
    std::scoped_lock lock(mutex_);
    std::erase_if(noted_, [&](const auto& entry) { return !roots.contains(entry.first.first); });
    std::erase_if(taken_, [&](const auto& entry) { return !roots.contains(entry.second.first.first); });
}

std::optional<Lsn> MovedRows::hold() const
{
    std::scoped_lock lock(mutex_);
    std::optional<Lsn> found;
    for (const auto& [part, noted] : noted_) {
        found = least(found, noted.oldest());
    }
    for (const auto& [id, entry] : taken_) {
        found = least(found, entry.second.oldest());
    }
    return found;
}

} // namespace keyshift::cdc
