#pragma once
/// What brokers were found to refuse for its size: kept from one producer of a stream to the next, so that the next does not
/// run into it again. A broker refuses a batch without saying which record of it, or which of several limits, was in the way:
///
///   refused --> the topic's limit is below the size of batches --> batches of that size from now on
///          |--> the topic's limit is below the record          --> it is known by now and checked before producing
///          |--> neither explains it                            --> smaller batches, down to one record each
///          '--> a record alone was refused                     --> its size is the topic's limit
///
/// Each step makes something smaller, so a refusal never comes for ever. Any thread.

#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace keyshift::cdc {

/// What bounds the records of a topic; 0: nobody tells.
struct RecordLimits {
    std::size_t topic = 0;   ///< max.message.bytes of the topic
    std::size_t client = 0;  ///< message.max.bytes in [kafka]
    std::size_t request = 0; ///< the brokers' smallest socket.request.max.bytes
};

/// The brokers' socket.request.max.bytes unless somebody set it.
inline constexpr std::size_t kUsualRequest = 100U * 1024 * 1024;

class SizeLimits {
public:
    /// `batch_bytes`: the largest batch that the configuration allows.
    explicit SizeLimits(std::size_t batch_bytes) : most_(batch_bytes), batch_bytes_(batch_bytes) {}

    /// The broker refused a record with so many bytes of key and value, or the batch that it was in.
    void refused(std::string_view topic, std::size_t bytes);
    /// Before a new producer: `topic_limit` gives a topic's max.message.bytes as the broker has it now, 0 where it does not
    /// tell. Returns the largest batch to send from now on.
    std::size_t settle(const std::function<std::size_t(const std::string&)>& topic_limit);
    /// The largest record that the topic takes as far as refusals have shown.
    std::optional<std::size_t> of(std::string_view topic) const;
    /// Somebody may have changed the brokers' limits.
    void forget();

private:
    const std::size_t most_;
    mutable std::mutex mutex_;
    std::size_t batch_bytes_;                                    ///< guarded by mutex_
    std::optional<std::pair<std::string, std::size_t>> refusal_; ///< guarded by mutex_; the first since settle()
    std::map<std::string, std::size_t, std::less<>> topics_;     ///< guarded by mutex_
};

} // namespace keyshift::cdc
