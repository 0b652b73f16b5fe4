#include "cdc/source/control_session.hpp"

#include <algorithm>

namespace keyshift::cdc {

ControlSession::ControlSession(const catalog::Node& node, std::chrono::milliseconds heartbeat_interval,
                               std::function<void()> wake)
    : slot_name_(node.slot), heartbeat_interval_(heartbeat_interval), wake_(std::move(wake)),
      connection_(node.connection("cdc control"))
{
    // A heartbeat need not be durable.
    connection_.script("SET synchronous_commit = off");
    thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
}

ControlSession::~ControlSession()
{
    thread_.request_stop();
    connection_.cancel();
}

std::optional<ErrorParts> ControlSession::lost() const
{
    std::scoped_lock lock(mutex_);
    return lost_;
}

std::optional<SlotFacts> ControlSession::slot() const
{
    std::scoped_lock lock(mutex_);
    return slot_;
}

void ControlSession::run(std::stop_token stop)
{
    const auto pause = std::min<std::chrono::milliseconds>(heartbeat_interval_, std::chrono::seconds(1));
    try {
        while (!stop.stop_requested()) {
            beat();
            connection_.wait_notify(pause, stop);
        }
    } catch (const Error& error) {
        {
            std::scoped_lock lock(mutex_);
            lost_ = error.parts();
        }
        wake_();
    }
}

void ControlSession::beat()
{
    const std::optional<SlotFacts> facts = read_slot(connection_, slot_name_);
    {
        std::scoped_lock lock(mutex_);
        slot_ = facts;
    }
    const auto now = std::chrono::steady_clock::now();
    if (activity_.exchange(false, std::memory_order_relaxed)) {
        last_activity_ = now;
    } else if (now - last_activity_ >= heartbeat_interval_) {
        last_activity_ = now;
        connection_.query("SELECT pg_catalog.pg_logical_emit_message(true, 'keyshift', '{\"type\":\"heartbeat\"}')");
    }
}

} // namespace keyshift::cdc
