#include "core/snapshot_filter.hpp"

#include <charconv>
#include <stdexcept>
#include <string>

namespace keyshift {

namespace {

std::uint64_t read_number(std::string_view text)
{
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) {
        throw std::invalid_argument("not a number in a snapshot: " + std::string(text));
    }
    return value;
}

} // namespace

SnapshotFilter::SnapshotFilter(std::string_view snapshot)
{
    const std::size_t first = snapshot.find(':');
    const std::size_t second = first == std::string_view::npos ? first : snapshot.find(':', first + 1);
    if (second == std::string_view::npos) {
        throw std::invalid_argument("not a snapshot: " + std::string(snapshot));
    }
    least_ = read_number(snapshot.substr(0, first));
    next_ = read_number(snapshot.substr(first + 1, second - first - 1));
    for (std::string_view rest = snapshot.substr(second + 1); !rest.empty();) {
        const std::size_t comma = rest.find(',');
        running_.insert(read_number(rest.substr(0, comma)));
        rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    }
}

std::uint64_t SnapshotFilter::extend(std::uint32_t xid) const
{
    // A running transaction is less than 2^31 away from the snapshot, in either direction.
    const auto distance = static_cast<std::int32_t>(xid - static_cast<std::uint32_t>(next_));
    return next_ + static_cast<std::uint64_t>(static_cast<std::int64_t>(distance));
}

bool SnapshotFilter::holds(std::uint32_t xid) const
{
    const std::uint64_t full = extend(xid);
    return full < least_ || (full < next_ && !running_.contains(full));
}

} // namespace keyshift
