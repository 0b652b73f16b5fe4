#pragma once
/// Reads and maps events ahead of the writer: while PostgreSQL takes one batch, the next one is parsed.

#include "core/bounded_queue.hpp"
#include "core/kafka/client.hpp"
#include "projections/batch_writer.hpp"
#include "projections/event_mapper.hpp"
#include "projections/projections.hpp"

#include <chrono>
#include <exception>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace keyshift::projections {

/// Events of a topic in order, as row changes. Moving it keeps the pointers good.
struct EventBatch {
    std::vector<kafka::Message> messages;
    std::vector<std::pair<RowChange, const kafka::Message*>> rows;
    std::vector<std::pair<const kafka::Message*, Rejection>> rejections;
    Offsets progress; ///< next offsets once this batch is written
};

class BatchReader {
public:
    /// `consumer` is assigned. Its poll and `mapper` belong to the reader from now on; the other parts of all three may
    /// be used meanwhile.
    BatchReader(kafka::Consumer& consumer, EventMapper& mapper, const Target& target, const ProjectionOptions& options);

    /// Throws what reading failed with, after the batches that came before. nullopt: nothing came in time.
    std::optional<EventBatch> next(std::chrono::milliseconds wait, std::stop_token stop);

private:
    void read(std::stop_token stop);
    std::vector<kafka::Message> poll();
    EventBatch map(std::vector<kafka::Message> messages);
    void add_rows(EventBatch& batch, const kafka::Message& message, std::vector<RowChange> changes) const;

    kafka::Consumer& consumer_;
    EventMapper& mapper_;
    const Target& target_;
    const ProjectionOptions& options_;
    BoundedQueue<EventBatch> ready_;
    std::exception_ptr failure_; ///< read once ready_ is closed and empty
    std::jthread thread_;
};

} // namespace keyshift::projections
