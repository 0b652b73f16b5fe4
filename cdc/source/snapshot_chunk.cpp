#include "cdc/source/snapshot_chunk.hpp"

#include <algorithm>
#include <charconv>

namespace keyshift::cdc {

Unpublished::Unpublished(std::shared_ptr<SnapshotTable> of) : of_(std::move(of))
{
    ++of_->left;
    ++of_->run->left;
}

Unpublished& Unpublished::operator=(Unpublished&& other) noexcept
{
    std::swap(of_, other.of_);
    return *this;
}

void Unpublished::reset()
{
    if (of_) {
        --of_->left;
        --of_->run->left;
        of_.reset();
    }
}

namespace {

/// Takes a 64-bit xid off the front; its low 32 bits.
std::optional<std::uint32_t> take_xid(std::string_view& text)
{
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc()) {
        return std::nullopt;
    }
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (!text.empty()) {
        text.remove_prefix(1);
    }
    return static_cast<std::uint32_t>(value);
}

/// Xids are compared as PostgreSQL does, modulo 2^32 (TransactionIdPrecedes).
bool precedes(std::uint32_t left, std::uint32_t right)
{
    return static_cast<std::int32_t>(left - right) < 0;
}

} // namespace

std::optional<RowSnapshot> RowSnapshot::parse(std::string_view text)
{
    RowSnapshot snapshot;
    const auto xmin = take_xid(text);
    const auto xmax = take_xid(text);
    if (!xmin || !xmax) {
        return std::nullopt;
    }
    snapshot.xmin = *xmin;
    snapshot.xmax = *xmax;
    while (!text.empty()) {
        const auto xid = take_xid(text);
        if (!xid) {
            return std::nullopt;
        }
        snapshot.in_progress.push_back(*xid);
    }
    return snapshot;
}

bool RowSnapshot::shows(std::uint32_t xid) const
{
    return precedes(xid, xmin) || (precedes(xid, xmax) && std::ranges::find(in_progress, xid) == in_progress.end());
}

} // namespace keyshift::cdc
