#include "daemon/worker.hpp"

#include "core/backoff.hpp"
#include "core/log.hpp"

#include <exception>
#include <utility>

namespace keyshift::daemon {

namespace {

using namespace std::chrono_literals;
// A fatal fault needs a hand; until it comes, a look a minute finds out whether it did.
constexpr auto kFatalPause = 60s;
// Who has run for this long had recovered: the next fault begins with short waits again.
constexpr auto kRecovered = 30s;

} // namespace

Worker::Worker(std::string name, Body body)
    : name_(std::move(name)), body_(std::move(body)), status_{name_, "running", std::nullopt},
      thread_([this](std::stop_token stop) { loop(stop); })
{
}

Worker::~Worker()
{
    thread_.request_stop();
    thread_.join();
}

void Worker::retry_now()
{
    const std::scoped_lock lock(mutex_);
    retry_ = true;
    changed_.notify_all();
}

WorkerStatus Worker::status() const
{
    const std::scoped_lock lock(mutex_);
    return status_;
}

void Worker::failed(const char* state, const ErrorParts& error)
{
    const std::scoped_lock lock(mutex_);
    status_.state = state;
    status_.error = error;
    retry_ = false;
}

void Worker::pause(std::chrono::milliseconds time, std::stop_token stop)
{
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, stop, time, [this] { return retry_; });
}

void Worker::loop(std::stop_token stop)
{
    Backoff backoff(200ms, 10s);
    while (!stop.stop_requested()) {
        const auto begin = std::chrono::steady_clock::now();
        const auto wait = [&] {
            if (std::chrono::steady_clock::now() - begin > kRecovered) {
                backoff.reset();
            }
            backoff.wait(stop);
        };
        try {
            body_(stop);
            wait();
        } catch (const Error& error) {
            if (stop.stop_requested()) {
                return;
            }
            if (error.kind() == ErrorKind::transient || error.kind() == ErrorKind::unreachable) {
                log::warning(name_, "tried again: {}", error.what());
                failed("retrying", error.parts());
                wait();
            } else {
                log::error(name_, "stopped, looks again in {} s or on SIGHUP: {}", kFatalPause.count(), error.what());
                failed("stopped", error.parts());
                pause(kFatalPause, stop);
            }
        } catch (const std::exception& error) {
            // A thread's root: one part's fault does not take the others down.
            log::error(name_, "stopped by a fault of the program: {}", error.what());
            failed("stopped", {name_, std::string("a fault of the program: ") + error.what(),
                               "Please report it with the log around it."});
            pause(kFatalPause, stop);
        }
        const std::scoped_lock lock(mutex_);
        status_.state = "running";
    }
}

} // namespace keyshift::daemon
