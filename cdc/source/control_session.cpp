#include "cdc/source/control_session.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace keyshift::cdc {

namespace {

/// A command of ours changes catalog and publication one after the other: a fault counts when it stays.
constexpr int kFaultsInARow = 3;

} // namespace

ControlSession::ControlSession(const catalog::Node& node, std::chrono::milliseconds heartbeat_interval,
                               Callbacks callbacks, Lsn sound_until)
    : node_(node), heartbeat_interval_(heartbeat_interval), callbacks_(std::move(callbacks)),
      connection_(node.connection("cdc control")), answered_at_(std::chrono::steady_clock::now()),
      sound_until_(sound_until)
{
    // A heartbeat need not be durable.
    connection_.script("SET synchronous_commit = off");
    thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
}

ControlSession::~ControlSession()
{
    thread_.request_stop();
    connection_.sever();
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

std::optional<ErrorParts> ControlSession::altered() const
{
    std::scoped_lock lock(mutex_);
    return altered_;
}

Lsn ControlSession::sound_until() const
{
    std::scoped_lock lock(mutex_);
    return sound_until_;
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
        callbacks_.wake();
    }
}

void ControlSession::beat()
{
    const std::optional<SlotFacts> facts = read_slot(connection_, node_.slot);
    {
        std::scoped_lock lock(mutex_);
        slot_ = facts;
    }
    look_at_publication(facts ? facts->current : Lsn{});
    const auto now = std::chrono::steady_clock::now();
    answered_at_ = now;
    if (activity_.exchange(false, std::memory_order_relaxed)) {
        last_activity_ = now;
    } else if (now - last_activity_ >= heartbeat_interval_) {
        last_activity_ = now;
        connection_.query("SELECT pg_catalog.pg_logical_emit_message(true, 'keyshift', '{\"type\":\"heartbeat\"}')");
    }
}

void ControlSession::look_at_publication(Lsn now)
{
    const std::optional<PublicationFault> fault = check_publication(connection_, node_.slot, callbacks_.captured());
    std::scoped_lock lock(mutex_);
    if (!fault) {
        faults_ = 0;
        sound_until_ = now;
        return;
    }
    if (++faults_ < kFaultsInARow || altered_) {
        return;
    }
    altered_ = {
        fmt::format("capturing changes of node {}", node_.name),
        fmt::format("{}: changes from {} on may be in no topic, up to where it is mended (now {})", fault->why,
                    sound_until_.to_string(), now.to_string()),
        fault->mend.empty()
            ? fmt::format("Run `keyshift cdc recover {}`: it makes the publication anew and reads the tables again.",
                          node_.name)
            : fmt::format("On the node: {} Then `keyshift cdc snapshot` the tables concerned; the stream goes on "
                          "within a minute.",
                          fault->mend)};
    callbacks_.wake();
}

} // namespace keyshift::cdc
