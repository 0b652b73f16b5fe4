#include "core/bucket_layout.hpp"

#include <algorithm>
#include <bit>
#include <stdexcept>
#include <string>

namespace keyshift {

BucketLayout::BucketLayout(std::uint32_t modulus) : first_modulus_(modulus)
{
    if (modulus > kFinest || (modulus & (modulus - 1)) != 0) {
        throw std::logic_error("no modulus of buckets: " + std::to_string(modulus));
    }
    numbers_.reserve(modulus);
    for (std::uint32_t bucket = 0; bucket < modulus; ++bucket) {
        numbers_.push_back(BucketId{bucket});
    }
}

BucketLayout::BucketLayout(std::uint32_t modulus, const std::vector<std::uint32_t>& made_by_splits)
    : BucketLayout(modulus)
{
    std::vector<std::uint32_t> rising = made_by_splits;
    std::ranges::sort(rising);
    for (const std::uint32_t bucket : rising) {
        add(bucket);
    }
}

void BucketLayout::add(std::uint32_t bucket)
{
    const std::uint32_t born_at = std::bit_floor(bucket);
    if (bucket < first_modulus_ || bucket >= kFinest || !contains(BucketId{bucket - born_at}) ||
        modulus(BucketId{bucket - born_at}) != born_at) {
        throw std::logic_error("no bucket can be split into " + std::to_string(bucket));
    }
    numbers_.insert(std::ranges::upper_bound(numbers_, BucketId{bucket}), BucketId{bucket});
}

BucketId BucketLayout::of_hash(std::uint64_t hash) const
{
    // A number exists from the split at its highest bit on, so of those that the hash could have the greatest is the finest.
    for (std::uint32_t modulus = finest(); modulus > first_modulus_; modulus /= 2) {
        const auto bucket = static_cast<std::uint32_t>(hash & (modulus - 1));
        if (bucket >= modulus / 2 && contains(BucketId{bucket})) {
            return BucketId{bucket};
        }
    }
    return BucketId{static_cast<std::uint32_t>(hash & (first_modulus_ - 1))};
}

std::uint32_t BucketLayout::modulus(BucketId bucket) const
{
    std::uint32_t modulus = number(bucket) < first_modulus_ ? first_modulus_ : 2 * std::bit_floor(number(bucket));
    while (modulus < kFinest && contains(BucketId{number(bucket) + modulus})) {
        modulus *= 2;
    }
    return modulus;
}

bool BucketLayout::contains(BucketId bucket) const
{
    return std::ranges::binary_search(numbers_, bucket);
}

BucketId BucketLayout::split(BucketId bucket)
{
    const std::uint32_t made = number(bucket) + modulus(bucket);
    add(made);
    return BucketId{made};
}

BucketLayout BucketLayout::with(const std::vector<BucketId>& made) const
{
    BucketLayout layout = *this;
    std::vector<BucketId> rising = made;
    std::ranges::sort(rising);
    for (const BucketId bucket : rising) {
        if (!layout.contains(bucket)) {
            layout.add(number(bucket));
        }
    }
    return layout;
}

std::uint32_t BucketLayout::finest() const
{
    return numbers_.empty() ? 0 : std::max(first_modulus_, 2 * std::bit_floor(number(numbers_.back())));
}

std::uint32_t BucketLayout::coarsest() const
{
    std::uint32_t coarsest = kFinest;
    for (const BucketId bucket : numbers_) {
        coarsest = std::min(coarsest, modulus(bucket));
    }
    return coarsest;
}

} // namespace keyshift
