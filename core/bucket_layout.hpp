#pragma once
/// The buckets of a group. A bucket's number is its remainder at a modulus of its own, a power of two; a split doubles the
/// modulus and makes one new number, remainder + old modulus. So numbers stay what they are for ever, and the set of them
/// says all moduli (docs/adr/0021).
/// Pure; safe to read from any thread.

#include "core/ids.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace keyshift {

class BucketLayout {
public:
    static constexpr std::uint32_t kFinest = 4096;

    /// Buckets 0 to modulus - 1, as a table is distributed. A modulus of 0: no buckets at all.
    explicit BucketLayout(std::uint32_t modulus = 0);
    /// And those that splits have made, in any order. Throws std::logic_error where one has no parent among them.
    BucketLayout(std::uint32_t modulus, const std::vector<std::uint32_t>& made_by_splits);

    /// That of a key with this partition hash.
    BucketId of_hash(std::uint64_t hash) const;
    /// At which the bucket's number is the remainder of its keys. The bucket is one of these.
    std::uint32_t modulus(BucketId bucket) const;
    bool contains(BucketId bucket) const;
    /// Doubles the bucket's modulus; returns the new one's number. Throws std::logic_error at kFinest.
    BucketId split(BucketId bucket);
    /// With these as well, which splits make; those that are there count as made.
    BucketLayout with(const std::vector<BucketId>& made) const;

    const std::vector<BucketId>& numbers() const { return numbers_; } ///< rising
    std::size_t count() const { return numbers_.size(); }
    std::uint32_t first_modulus() const { return first_modulus_; } ///< before any split
    /// Of the whole layout: no bucket's modulus is higher, or lower.
    std::uint32_t finest() const;
    std::uint32_t coarsest() const;

    bool operator==(const BucketLayout& other) const = default;

private:
    void add(std::uint32_t bucket);

    std::uint32_t first_modulus_ = 0;
    std::vector<BucketId> numbers_;
};

} // namespace keyshift
