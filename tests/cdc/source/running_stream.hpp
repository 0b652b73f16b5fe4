#pragma once

#include "cdc/node_stream.hpp"
#include "metrics/families.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <thread>

namespace keyshift::test {

template <typename Condition>
bool eventually(Condition condition, std::chrono::milliseconds limit = std::chrono::seconds(15))
{
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) {
            return false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return true;
}

/// Runs a NodeStream on a thread until it goes out of scope.
class RunningStream {
public:
    RunningStream(const catalog::Node& node, const pg::ConnectionSettings& catalog, const cdc::CdcOptions& options);
    ~RunningStream() { stop(); }

    cdc::NodeStream& stream() { return *stream_; }
    void stop();
    /// The error that ended run(); waits for it.
    std::optional<ErrorParts> fatal_error();
    bool wait_state(const std::string& state, std::chrono::milliseconds limit = std::chrono::seconds(15));

private:
    metrics::Metrics metrics_;
    metrics::CdcMetrics series_;
    std::unique_ptr<cdc::NodeStream> stream_;
    std::optional<ErrorParts> error_;
    std::jthread thread_;
};

} // namespace keyshift::test
