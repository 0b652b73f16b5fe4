#pragma once
/// The topics that one node's stream writes to: created when first used, and guarded against a change of their
/// partition count, which would send later records of a key past its earlier ones.

#include "cdc/options.hpp"
#include "core/error.hpp"

#include <cstdint>
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
    Topics(const CdcOptions& options, std::string client_id);

    /// Creates the topic unless it is there or was seen before. Stream's thread. The name lives as long as this.
    const std::string& ensure(const std::string& topic, int partitions);
    /// The largest record, headers included, that the topic and [kafka] take however badly it compresses: librdkafka's bound
    /// and the topic's max.message.bytes, less what a batch of one record adds. Stream's thread, after ensure().
    std::size_t limit(std::string_view topic) const;
    /// Set when the topic has got more partitions than it had when it was first used. Any thread.
    std::optional<ErrorParts> outgrown(const std::string& topic, std::int32_t partition) const;

private:
    struct Known {
        int partitions = 0;
        std::size_t limit = 0;
    };
    std::size_t topic_limit(kafka::Admin& admin, const std::string& topic) const;

    const CdcOptions& options_;
    std::string client_id_;
    mutable std::mutex mutex_;
    const std::size_t client_limit_; ///< of one record, as [kafka] has it
    /// Guarded by mutex_; written by the stream's thread only.
    std::map<std::string, Known, std::less<>> known_;
};

} // namespace keyshift::cdc
