#pragma once
/// The topics that one node's stream writes to: created when first used, guarded against a change of their partition count,
/// which would send later records of a key past its earlier ones, and asked for the largest record that they take.

#include "cdc/options.hpp"
#include "cdc/publish/partition_counts.hpp"
#include "cdc/publish/size_limits.hpp"
#include "core/error.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace keyshift::kafka {
class Admin;
}

namespace keyshift::cdc {

class Topics {
public:
    /// `on_wait` is called every few ms while a broker is waited for; it may throw to give up.
    Topics(const CdcOptions& options, std::string client_id, const SizeLimits& sizes, PartitionCounts& counts,
           std::function<void()> on_wait);

    // The stream's thread.
    /// Creates the topic unless it is there or was seen before. The name lives as long as this. Throws FatalError when the
    /// topic has another number of partitions than it had when it was first written to.
    const std::string& ensure(const std::string& topic);
    /// The same of a topic whose records go to partition 0 by name, whatever number it has.
    void ensure_single(const std::string& topic);
    /// The largest record, headers included, that the topic and [kafka] take however badly it compresses: librdkafka's bound
    /// and the topic's max.message.bytes, less what a batch of one record adds. After ensure().
    std::size_t limit(std::string_view topic) const;
    /// Whether a record of so many bytes goes to the topic. A limit that is in the way is looked up again, every few seconds
    /// at most: somebody may have raised it.
    bool takes(const std::string& topic, std::size_t bytes);
    /// The topic's max.message.bytes as the broker has it; 0: it does not tell.
    std::size_t broker_limit(const std::string& topic);
    /// What limit() comes from, as last looked up.
    RecordLimits limits(std::string_view topic) const;
    /// Asks the brokers how large a request they take, where [kafka] allows records that may be larger. Returns the largest
    /// batch for one, SIZE_MAX where it does not matter or they do not tell.
    std::size_t request_limit();

    /// A topic that was there when it was first used and is not any more. Any thread; waits for a broker for a second.
    std::optional<std::string> gone() const;
    /// Set when the topic has got more partitions than it had when it was first used. Any thread.
    std::optional<ErrorParts> outgrown(const std::string& topic, std::int32_t partition) const;

private:
    using Clock = std::chrono::steady_clock;
    struct Known {
        int partitions = 0;
        std::size_t broker_limit = 0;
        Clock::time_point looked_at;
    };
    const std::string& make(const std::string& topic, int partitions, std::optional<int> expected);
    int partitions_of(kafka::Admin& admin, const std::string& topic) const;
    std::size_t broker_limit(kafka::Admin& admin, const std::string& topic) const;
    std::size_t asked(const std::function<std::size_t()>& ask) const;

    using Names = std::map<std::string, Known, std::less<>>;
    /// Known or end(). Records mostly go where the one before went.
    Names::const_iterator find(std::string_view topic) const;

    const CdcOptions& options_;
    const std::string client_id_;
    const SizeLimits& sizes_;
    PartitionCounts& counts_;
    const std::function<void()> on_wait_;
    const std::size_t client_limit_; ///< of one record, as [kafka] has it
    std::size_t request_bytes_ = 0;  ///< the brokers' socket.request.max.bytes; 0: not known. The stream's thread
    mutable std::mutex mutex_;
    /// Guarded by mutex_; written by the stream's thread only.
    Names known_;
    mutable Names::const_iterator last_ = known_.end(); ///< the stream's thread
};

} // namespace keyshift::cdc
