#include "cdc/stream_state.hpp"

#include "core/kafka/client.hpp"

#include <algorithm>
#include <thread>

namespace keyshift::cdc {

StreamState::StreamState(catalog::Node node_, CdcOptions options_, metrics::CdcMetrics& metrics_)
    : node(std::move(node_)), options(std::move(options_)), metrics(metrics_), history(node.name),
      subscriptions(options.max_transaction_memory, options.spool_directory, wake.fd()),
      size_limits(kafka::batch_limit(options.kafka))
{
    status_.node = node.name;
    status_.slot = node.slot;
    status_.state = "starting";
}

void StreamState::learn_position(const std::map<std::uint32_t, Lsn>& ancestors, Lsn otherwise)
{
    if (position_known_) {
        return;
    }
    const std::optional<ProgressRecord> progress = last_progress(options, node.name, waiting());
    std::scoped_lock lock(mutex_);
    position_known_ = true;
    if (progress) {
        Lsn reached = progress->lsn;
        if (progress->timeline != timeline_) {
            const auto left = ancestors.find(progress->timeline);
            reached = std::min(reached, left == ancestors.end() ? otherwise : left->second);
        }
        server_lost_changes = reached < progress->lsn;
        // An older stream of ours may have got farther than its last progress record says, never less far.
        floor_ = std::max(floor_, reached);
        recorded_floor_ = std::max(recorded_floor_, reached);
        handed_over = std::max(handed_over, reached);
    }
}

std::uint32_t StreamState::known_timeline(std::uint32_t of_catalog, Lsn gap_accepted)
{
    if (behind_gap.load() != gap_accepted) {
        present_timeline = 0;
        behind_gap = gap_accepted;
    }
    return std::max(of_catalog, present_timeline.load());
}

std::optional<Lsn> StreamState::progress_so_far() const
{
    if (const std::optional<Lsn> known = recorded()) {
        return known;
    }
    const std::optional<ProgressRecord> progress = last_progress(options, node.name, waiting());
    return progress ? std::optional(progress->lsn) : std::nullopt;
}

void StreamState::take_over()
{
    if (!taken_over_) {
        publisher_->take_over();
        taken_over_ = true;
    }
}

EventPublisher& StreamState::ensure_publisher(std::uint32_t timeline)
{
    const std::shared_ptr<EventPublisher> present = publisher();
    if (present && !present->failure() && timeline == timeline_) {
        return *present;
    }
    // Positions of another timeline say nothing of this one.
    const Lsn reached = timeline == timeline_ ? acknowledged() : Lsn{};
    const Lsn written = timeline == timeline_ ? recorded().value_or(Lsn{}) : Lsn{};
    if (timeline != timeline_) {
        publication_sound_until = {};
    }
    timeline_ = timeline;
    const std::uint64_t letters = dead_letters();
    {
        std::scoped_lock lock(mutex_);
        dead_letters_before_ = letters;
        floor_ = reached;
        recorded_floor_ = written;
        publisher_.reset();
    }
    handed_over = reached;
    position_known_ = taken_over_ = false;
    auto made = std::make_shared<EventPublisher>(options, node.name, node.address.dbname, timeline, metrics,
                                                 size_limits, partition_counts, waiting());
    std::scoped_lock lock(mutex_);
    publisher_ = std::move(made);
    return *publisher_;
}

std::function<void()> StreamState::waiting() const
{
    return [this] {
        if (on_wait) {
            on_wait();
        }
    };
}

std::uint64_t StreamState::dead_letters() const
{
    std::scoped_lock lock(mutex_);
    return dead_letters_before_ + (publisher_ ? publisher_->dead_letters() : 0);
}

std::shared_ptr<EventPublisher> StreamState::publisher() const
{
    std::scoped_lock lock(mutex_);
    return publisher_;
}

Lsn StreamState::acknowledged() const
{
    std::scoped_lock lock(mutex_);
    return publisher_ ? std::max(floor_, publisher_->acknowledged()) : floor_;
}

std::optional<Lsn> StreamState::recorded() const
{
    std::scoped_lock lock(mutex_);
    const Lsn newest = publisher_ ? std::max(recorded_floor_, publisher_->recorded()) : recorded_floor_;
    return newest == Lsn{} ? std::nullopt : std::optional(newest);
}

namespace {

/// In slices: the publisher may be replaced meanwhile.
template <typename Done, typename WaitOnce>
bool wait_in_slices(std::chrono::milliseconds wait, Done done, WaitOnce wait_once)
{
    constexpr std::chrono::milliseconds kSlice{50};
    const auto end = std::chrono::steady_clock::now() + wait;
    while (!done()) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
        if (left.count() <= 0) {
            return false;
        }
        wait_once(std::min(left, kSlice));
    }
    return true;
}

} // namespace

bool StreamState::wait_acknowledged(Lsn lsn, std::chrono::milliseconds wait) const
{
    return wait_in_slices(
        wait, [&] { return acknowledged() >= lsn; },
        [&](std::chrono::milliseconds slice) {
            if (const auto present = publisher()) {
                present->wait_acknowledged(lsn, slice);
            } else {
                std::this_thread::sleep_for(slice);
            }
        });
}

bool StreamState::wait_recorded(Lsn lsn, std::chrono::milliseconds wait) const
{
    return wait_in_slices(
        wait, [&] { return recorded().value_or(Lsn{}) >= lsn; },
        [&](std::chrono::milliseconds slice) {
            if (const auto present = publisher()) {
                present->wait_recorded(lsn, slice);
            } else {
                std::this_thread::sleep_for(slice);
            }
        });
}

bool StreamState::delivered(std::uint64_t records) const
{
    const auto present = publisher();
    return present && present->delivered(records);
}

StreamStatus StreamState::status() const
{
    std::scoped_lock lock(mutex_);
    return status_;
}

void StreamState::set_state(std::string state, std::optional<ErrorParts> error)
{
    update([&](StreamStatus& status) {
        status.state = std::move(state);
        status.error = std::move(error);
    });
}

void StreamState::update(const std::function<void(StreamStatus&)>& change)
{
    std::scoped_lock lock(mutex_);
    change(status_);
}

} // namespace keyshift::cdc
