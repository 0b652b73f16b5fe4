#include "cdc/publish/event_counters.hpp"

#include <limits>

namespace keyshift::cdc {

EventCounters::Series EventCounters::series(const std::string& table, char op)
{
    const std::size_t place = kOps.find(op);
    if (place == std::string_view::npos) {
        return kUncounted;
    }
    Series& series = known_[table].at(place);
    if (series == kUncounted) {
        std::scoped_lock lock(mutex_);
        if (counters_.size() < std::numeric_limits<Series>::max()) {
            counters_.push_back(metrics_.events(table, std::string_view(&op, 1)));
            series = static_cast<Series>(counters_.size());
        }
    }
    return series;
}

void EventCounters::add(Series series, std::uint64_t count)
{
    if (series != kUncounted && count > 0) {
        std::scoped_lock lock(mutex_);
        counters_[series - 1U].add(static_cast<double>(count));
    }
}

} // namespace keyshift::cdc
