#include "tests/cdc/source/running_stream.hpp"

#include "core/error.hpp"

namespace keyshift::test {

RunningStream::RunningStream(const catalog::Node& node, const pg::ConnectionSettings& catalog,
                             const cdc::CdcOptions& options)
    : series_(metrics_.registry(), node.name),
      stream_(std::make_unique<cdc::NodeStream>(node, catalog, options, series_))
{
    thread_ = std::jthread([this](std::stop_token stop) {
        try {
            stream_->run(stop);
        } catch (const Error& error) {
            error_ = error.parts();
        }
    });
}

void RunningStream::stop()
{
    thread_.request_stop();
    if (thread_.joinable()) {
        thread_.join();
    }
}

std::optional<ErrorParts> RunningStream::fatal_error()
{
    thread_.join();
    return error_;
}

bool RunningStream::wait_state(const std::string& state, std::chrono::milliseconds limit)
{
    return eventually([&] { return stream_->status().state == state; }, limit);
}

} // namespace keyshift::test
