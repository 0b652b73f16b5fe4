#include "cdc/publish/event_counters.hpp"

#include <limits>

namespace keyshift::cdc {

EventCounters::Series EventCounters::series(const std::string& table, char op)
{
    const std::size_t place = kOps.find(op);
    if (place == std::string_view::npos) {
        return kUncounted;
    }
    if (last_ == known_.end() || last_->first != table) {
        last_ = known_.try_emplace(table).first;
    }
    Series& series = last_->second.at(place);
    if (series == kUncounted) {
        series = add_series({metrics_.events(table, std::string_view(&op, 1)), false});
    }
    return series;
}

EventCounters::Series EventCounters::dead_letters(const std::string& table)
{
    Series& series = known_dead_[table];
    if (series == kUncounted) {
        series = add_series({metrics_.dead_letters(table), true});
    }
    return series;
}

EventCounters::Series EventCounters::add_series(Counted counted)
{
    std::scoped_lock lock(mutex_);
    if (counted_.size() == std::numeric_limits<Series>::max()) {
        return kUncounted;
    }
    counted_.push_back(counted);
    return static_cast<Series>(counted_.size());
}

void EventCounters::add(Series series, std::uint64_t count)
{
    if (series != kUncounted && count > 0) {
        std::scoped_lock lock(mutex_);
        const Counted& counted = counted_[series - 1U];
        counted.counter.add(static_cast<double>(count));
        dead_letters_ += counted.dead ? count : 0;
    }
}

} // namespace keyshift::cdc
