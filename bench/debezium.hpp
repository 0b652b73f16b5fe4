#pragma once
/// The real Debezium beside ours, in a Kafka Connect worker on the same broker: its topics have a prefix of their own. Batches
/// of 8,192, a queue of 32,768 and a poll each 50 ms are the fastest of those tried.

#include "bench/connector.hpp"
#include "demo/settings.hpp"

#include <optional>
#include <string>

namespace keyshift::bench {

class Debezium {
public:
    static constexpr const char* kPrefix = "debezium";

    /// A connector of public.`table`, streaming from now on. `snapshot_mode`: as Debezium has it.
    Debezium(const demo::Settings& settings, const std::string& table, const std::string& snapshot_mode);
    ~Debezium();
    Debezium(const Debezium&) = delete;
    Debezium& operator=(const Debezium&) = delete;

    /// Its tasks end, the worker with its compiled code stays; the slot keeps its place.
    void stop();
    void resume() { connector_->resume(); }
    std::string topic() const;
    std::string slot() const { return "debezium_" + table_; }
    void wait_streaming() const;

private:
    const demo::Settings& settings_;
    std::string table_;
    std::optional<Connector> connector_; ///< none once it is being taken away
};

} // namespace keyshift::bench
