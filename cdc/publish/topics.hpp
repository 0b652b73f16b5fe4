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
#include <utility>

namespace keyshift::cdc {

class Topics {
public:
    Topics(const CdcOptions& options, std::string client_id) : options_(options), client_id_(std::move(client_id)) {}

    /// Creates the topic unless it is there or was seen before. Stream's thread.
    void ensure(const std::string& topic, int partitions);
    /// Set when the topic has got more partitions than it had when it was first used. Any thread.
    std::optional<ErrorParts> outgrown(const std::string& topic, std::int32_t partition) const;

private:
    const CdcOptions& options_;
    std::string client_id_;
    mutable std::mutex mutex_;
    std::map<std::string, int> partitions_; ///< guarded by mutex_; written by the stream's thread only
};

} // namespace keyshift::cdc
