#include "tests/cdc/source/fake_publisher.hpp"

#include <algorithm>
#include <thread>

namespace keyshift::test {

FakeKafka& FakeKafka::instance()
{
    static FakeKafka kafka;
    return kafka;
}

void FakeKafka::reset()
{
    std::scoped_lock lock(mutex_);
    up_ = true;
    room_ = 1'000;
    events_.clear();
    controls_.clear();
    progress_.clear();
    timelines_.clear();
    progress_went_back_ = false;
    pending_ = 0;
    heartbeats_ = 0;
    long_transactions_ = false;
}

void FakeKafka::set_up(bool up)
{
    std::scoped_lock lock(mutex_);
    up_ = up;
    if (up) {
        pending_ = 0;
    }
    changed_.notify_all();
}

void FakeKafka::set_room(std::size_t events)
{
    std::scoped_lock lock(mutex_);
    room_ = events;
}

std::vector<FakeEvent> FakeKafka::events(const std::string& table) const
{
    std::scoped_lock lock(mutex_);
    std::vector<FakeEvent> found;
    std::ranges::copy_if(events_, std::back_inserter(found),
                         [&](const FakeEvent& event) { return table.empty() || event.table == table; });
    return found;
}

std::vector<std::string> FakeKafka::controls() const
{
    std::scoped_lock lock(mutex_);
    return controls_;
}

int FakeKafka::heartbeats() const
{
    std::scoped_lock lock(mutex_);
    return heartbeats_;
}

std::vector<FakeEvent> FakeKafka::wait_events(std::size_t count, const std::string& table,
                                              std::chrono::milliseconds limit) const
{
    const auto end = std::chrono::steady_clock::now() + limit;
    while (events(table).size() < count && std::chrono::steady_clock::now() < end) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return events(table);
}

std::optional<Lsn> FakeKafka::progress(const std::string& node) const
{
    std::scoped_lock lock(mutex_);
    const auto found = progress_.find(node);
    return found == progress_.end() ? std::nullopt : std::optional(found->second);
}

std::uint32_t FakeKafka::timeline(const std::string& node) const
{
    std::scoped_lock lock(mutex_);
    const auto found = timelines_.find(node);
    return found == timelines_.end() ? 1 : found->second;
}

bool FakeKafka::progress_went_back() const
{
    std::scoped_lock lock(mutex_);
    return progress_went_back_;
}

void FakeKafka::set_progress(const std::string& node, Lsn lsn)
{
    std::scoped_lock lock(mutex_);
    progress_[node] = lsn;
}

bool FakeKafka::wait_long_transactions(bool wanted) const
{
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(15), [&] { return long_transactions_ == wanted; });
}

void FakeKafka::kill_publishers()
{
    std::scoped_lock lock(mutex_);
    ++killed_;
}

} // namespace keyshift::test

namespace keyshift::cdc {

using test::FakeEvent;
using test::FakeKafka;

struct EventPublisher::State {
    FakeKafka& kafka = FakeKafka::instance();
    std::string node;
    std::uint32_t timeline = 0;
    std::function<void()> on_wait;
    Lsn reached;              ///< handed over completely
    mutable Lsn acknowledged; ///< follows `reached` while the broker is up
    std::uint64_t born = 0;
};

EventPublisher::EventPublisher(const CdcOptions&, std::string node, std::string, std::uint32_t timeline,
                               metrics::CdcMetrics&, SizeLimits&, PartitionCounts&, std::function<void()> on_wait)
    : state_(std::make_unique<State>())
{
    state_->node = std::move(node);
    state_->timeline = timeline;
    state_->on_wait = std::move(on_wait);
    std::scoped_lock lock(state_->kafka.mutex_);
    state_->born = state_->kafka.killed_;
}

EventPublisher::~EventPublisher() = default;

void EventPublisher::take_over() {}

namespace {

std::string key_of(const TableSchema& table, const Tuple& row)
{
    std::string key;
    for (const std::size_t column : table.key) {
        key += (key.empty() ? "" : "|") + std::string(row[column].text);
    }
    return key;
}

std::map<std::string, std::string> types_of(const TableSchema& table)
{
    std::map<std::string, std::string> types;
    for (const ColumnSchema& column : table.columns) {
        std::string labels;
        for (const std::string& label : column.type.enum_labels) {
            labels += (labels.empty() ? "(" : ",") + label;
        }
        types[column.name] = column.type.name + (column.not_null ? "!" : "") + labels + (labels.empty() ? "" : ")");
    }
    return types;
}

} // namespace

void EventPublisher::publish(const EventContext& context, const TableSchema& table, const Change& change)
{
    FakeEvent event{table.root.to_string(),
                    change.kind,
                    context.origin.to_string(),
                    context.position,
                    std::string(context.snapshot),
                    context.xid,
                    {},
                    {},
                    {},
                    types_of(table)};
    if (change.before) {
        event.old_key = key_of(table, *change.before);
        event.key = *event.old_key;
    }
    if (change.after) {
        event.key = key_of(table, *change.after);
        for (std::size_t i = 0; i < table.columns.size(); ++i) {
            const Datum& datum = (*change.after)[i];
            if (datum.kind != Datum::Kind::unchanged_toast) {
                event.after[table.columns[i].name] = datum.kind == Datum::Kind::null ? "NULL" : std::string(datum.text);
            }
        }
    }
    std::unique_lock lock(state_->kafka.mutex_);
    while (!state_->kafka.up_ && state_->kafka.pending_ >= state_->kafka.room_) {
        lock.unlock();
        state_->on_wait();
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        lock.lock();
    }
    state_->kafka.pending_ += state_->kafka.up_ ? 0 : 1;
    state_->kafka.events_.push_back(std::move(event));
}

void EventPublisher::begin(const Begin&) {}

void EventPublisher::message(const EventContext& context, const LogicalMessage& message)
{
    FakeEvent event{"message",
                    {},
                    context.origin.to_string(),
                    context.position,
                    std::string(context.snapshot),
                    context.xid,
                    std::string(message.prefix),
                    {},
                    {{"content", std::string(message.content)}},
                    {}};
    std::scoped_lock lock(state_->kafka.mutex_);
    state_->kafka.events_.push_back(std::move(event));
}

void EventPublisher::commit(Lsn, Lsn end_lsn)
{
    advance(end_lsn);
}

void EventPublisher::nudge() {}

void EventPublisher::hurry(Lsn) {}

void EventPublisher::long_transactions(bool wanted)
{
    std::scoped_lock lock(state_->kafka.mutex_);
    state_->kafka.long_transactions_ = wanted;
    state_->kafka.changed_.notify_all();
}

void EventPublisher::advance(Lsn lsn)
{
    std::scoped_lock lock(state_->kafka.mutex_);
    state_->reached = std::max(state_->reached, lsn);
}

void EventPublisher::heartbeat(std::int64_t)
{
    std::scoped_lock lock(state_->kafka.mutex_);
    ++state_->kafka.heartbeats_;
}

void EventPublisher::control(const ControlRecord& record)
{
    std::scoped_lock lock(state_->kafka.mutex_);
    state_->kafka.controls_.push_back(to_json(record));
    if (const auto* gap = std::get_if<GapRecord>(&record)) {
        state_->kafka.progress_[gap->node] = gap->to;
        state_->kafka.timelines_[gap->node] = gap->timeline;
    }
}

std::uint64_t EventPublisher::handed_over() const
{
    std::scoped_lock lock(state_->kafka.mutex_);
    return state_->kafka.events_.size();
}

bool EventPublisher::delivered(std::uint64_t) const
{
    std::scoped_lock lock(state_->kafka.mutex_);
    return state_->kafka.up_ && state_->born == state_->kafka.killed_;
}

Lsn EventPublisher::acknowledged() const
{
    std::scoped_lock lock(state_->kafka.mutex_);
    if (state_->kafka.up_ && state_->born == state_->kafka.killed_ && state_->reached > state_->acknowledged) {
        state_->acknowledged = state_->reached;
        Lsn& progress = state_->kafka.progress_[state_->node];
        std::uint32_t& timeline = state_->kafka.timelines_[state_->node];
        state_->kafka.progress_went_back_ =
            state_->kafka.progress_went_back_ || (timeline == state_->timeline && state_->reached < progress);
        if (std::pair(state_->timeline, state_->reached) > std::pair(timeline, progress)) {
            progress = state_->reached;
            timeline = state_->timeline;
        }
    }
    return state_->acknowledged;
}

Lsn EventPublisher::recorded() const
{
    return acknowledged();
}

bool EventPublisher::wait_acknowledged(Lsn lsn, std::chrono::milliseconds wait)
{
    const auto end = std::chrono::steady_clock::now() + wait;
    while (acknowledged() < lsn) {
        if (std::chrono::steady_clock::now() >= end) {
            return false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

bool EventPublisher::wait_recorded(Lsn lsn, std::chrono::milliseconds wait)
{
    return wait_acknowledged(lsn, wait);
}

std::optional<ErrorParts> EventPublisher::failure() const
{
    std::scoped_lock lock(state_->kafka.mutex_);
    return state_->born == state_->kafka.killed_
               ? std::nullopt
               : std::optional(ErrorParts{"producing", "killed by the test", "nothing"});
}

void EventPublisher::check() const
{
    if (const auto dead = failure()) {
        throw TransientError(*dead);
    }
}

std::string EventPublisher::broker_error() const
{
    std::scoped_lock lock(state_->kafka.mutex_);
    return state_->kafka.up_ ? "" : "all brokers down";
}

std::uint64_t EventPublisher::dead_letters() const
{
    return 0;
}

std::size_t EventPublisher::queued_bytes() const
{
    std::scoped_lock lock(state_->kafka.mutex_);
    return state_->kafka.pending_ * 100;
}

std::vector<std::pair<std::string, std::string>> EventPublisher::left_out(const TableSchema&) const
{
    return {};
}

std::optional<ProgressRecord> last_progress(const CdcOptions&, const std::string& node, const std::function<void()>&)
{
    const std::optional<Lsn> lsn = FakeKafka::instance().progress(node);
    return lsn ? std::optional(ProgressRecord{node, FakeKafka::instance().timeline(node), *lsn, {}}) : std::nullopt;
}

} // namespace keyshift::cdc
