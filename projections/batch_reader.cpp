#include "projections/batch_reader.hpp"

#include <algorithm>
#include <iterator>

namespace keyshift::projections {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// Of one projection, on top of the batch that is being written.
constexpr std::size_t kReadAheadBytes = 4U << 20U;
// A batch with so much has enough; of large events that is far fewer than options.batch_rows.
constexpr std::size_t kBatchBytes = 2U << 20U;
constexpr std::size_t kMostAtATime = 250;

std::size_t bytes_of(const std::vector<kafka::Message>& messages)
{
    std::size_t bytes = 0;
    for (const kafka::Message& message : messages) {
        bytes += message.value ? message.value->size() : 0;
    }
    return bytes;
}

std::size_t weight_of(const EventBatch& batch)
{
    std::size_t bytes = 0;
    for (const kafka::Message& message : batch.messages) {
        bytes += 2 * (message.value ? message.value->size() : 0) + sizeof(RowChange);
    }
    return bytes;
}

} // namespace

BatchReader::BatchReader(kafka::Consumer& consumer, EventMapper& mapper, const Target& target,
                         const ProjectionOptions& options)
    : consumer_(consumer), mapper_(mapper), target_(target), options_(options), ready_(kReadAheadBytes),
      thread_([this](std::stop_token stop) { read(std::move(stop)); })
{
}

std::optional<EventBatch> BatchReader::next(std::chrono::milliseconds wait, std::stop_token stop)
{
    std::optional<EventBatch> batch = ready_.pop_for(wait, std::move(stop));
    if (!batch && ready_.closed() && failure_) {
        std::rethrow_exception(failure_);
    }
    return batch;
}

void BatchReader::read(std::stop_token stop)
{
    try {
        while (!stop.stop_requested()) {
            std::vector<kafka::Message> messages = poll();
            if (messages.empty()) {
                continue;
            }
            EventBatch batch = map(std::move(messages));
            const std::size_t weight = weight_of(batch);
            ready_.push(std::move(batch), weight, stop);
        }
    } catch (...) {
        failure_ = std::current_exception();
    }
    ready_.close();
}

std::vector<kafka::Message> BatchReader::poll()
{
    std::vector<kafka::Message> messages = consumer_.poll(std::min(kMostAtATime, options_.batch_rows), 50ms);
    std::size_t bytes = bytes_of(messages);
    bool more_are_there = messages.size() == kMostAtATime;
    const auto deadline = Clock::now() + options_.batch_delay;
    while (!messages.empty() && messages.size() < options_.batch_rows && bytes < kBatchBytes &&
           (more_are_there || Clock::now() < deadline)) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
        std::vector<kafka::Message> more =
            consumer_.poll(std::min(kMostAtATime, options_.batch_rows - messages.size()), std::max(left, 1ms));
        more_are_there = more.size() == kMostAtATime;
        bytes += bytes_of(more);
        messages.insert(messages.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
    }
    return messages;
}

void BatchReader::add_rows(EventBatch& batch, const kafka::Message& message, std::vector<RowChange> changes) const
{
    for (RowChange& change : changes) {
        change.key_hash = target_.key_hash(change);
        if (change.key_hash) {
            batch.rows.emplace_back(std::move(change), &message);
        } else {
            batch.rejections.emplace_back(&message, Rejection{"bad_value", "a key value does not read as its type",
                                                              row_identity(target_.definition(), change.base)});
        }
    }
}

EventBatch BatchReader::map(std::vector<kafka::Message> messages)
{
    EventBatch batch;
    batch.messages = std::move(messages);
    std::vector<Mapped> mapped = mapper_.map(batch.messages);
    for (std::size_t at = 0; at < mapped.size(); ++at) {
        const kafka::Message& message = batch.messages[at];
        batch.progress[{message.topic, message.partition}] = message.offset + 1;
        auto* rejection = std::get_if<Rejection>(&mapped[at]);
        auto changes =
            rejection != nullptr ? std::move(rejection->left) : std::get<std::vector<RowChange>>(std::move(mapped[at]));
        if (rejection != nullptr) {
            batch.rejections.emplace_back(&message, std::move(*rejection));
        }
        add_rows(batch, message, std::move(changes));
    }
    return batch;
}

} // namespace keyshift::projections
