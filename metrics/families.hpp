#pragma once
/// Every metric family, named and described once (docs/metrics.md is checked against this folder). Components hold
/// references to series and never look up labels when working. Thread-safe: prometheus-cpp's counters are atomic.
/// prometheus headers stay inside metrics/: the classes here are thin and need only forward declarations.

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace prometheus {
class Registry;
class Counter;
class Gauge;
class Histogram;
} // namespace prometheus

namespace keyshift::metrics {

/// A counter; increments from any thread.
class Counter {
public:
    explicit Counter(prometheus::Counter& series) : series_(&series) {}
    void add(double amount = 1) const;
    double value() const;

private:
    prometheus::Counter* series_;
};
class Gauge {
public:
    explicit Gauge(prometheus::Gauge& series) : series_(&series) {}
    void set(double value) const;
    double value() const;

private:
    prometheus::Gauge* series_;
};
class Histogram {
public:
    explicit Histogram(prometheus::Histogram& series) : series_(&series) {}
    void observe(double value) const;

private:
    prometheus::Histogram* series_;
};

/// Owns the registry and renders it in the text exposition format.
class Metrics {
public:
    Metrics();
    ~Metrics();
    std::string render() const;
    prometheus::Registry& registry() { return *registry_; }

private:
    std::shared_ptr<prometheus::Registry> registry_;
};

/// Series of one node's stream.
struct CdcMetrics {
    CdcMetrics(prometheus::Registry& registry, const std::string& node);
    /// keyshift_cdc_events_total{node,table,op}: acknowledged by Kafka. The caller keeps the Counter.
    Counter events(const std::string& table, std::string_view op) const;
    /// keyshift_cdc_dead_letters_total{node,table}: acknowledged by Kafka.
    Counter dead_letters(const std::string& table) const;
    Counter reconnects(std::string_view reason) const;        ///< keyshift_cdc_reconnects_total{node,reason}
    Counter kafka_errors(std::string_view error_class) const; ///< keyshift_kafka_errors_total{class}
    /// keyshift_slot_wal_status{node,status}: 1 for the present status, 0 for the others.
    void wal_status(std::string_view status) const;
    Gauge lag_bytes;
    Gauge lag_seconds;
    Gauge connected;
    Gauge retained_bytes;
    Gauge spooled_bytes;     ///< keyshift_cdc_spooled_bytes{node}
    Gauge kafka_queue_bytes; ///< keyshift_kafka_queue_bytes (sum over nodes is the caller's: label node)

private:
    prometheus::Registry* registry_;
    std::string node_;
};

struct ReshardMetrics {
    explicit ReshardMetrics(prometheus::Registry& registry);
    Gauge moves(std::string_view state) const; ///< keyshift_reshard_moves{state}
    Counter rows_copied(const std::string& donor, const std::string& recipient) const;
    Histogram write_block_seconds;
    Counter verify_differences;

private:
    prometheus::Registry* registry_;
};

struct ProjectionMetrics {
    explicit ProjectionMetrics(prometheus::Registry& registry);
    Counter rows(const std::string& projection,
                 std::string_view outcome) const; ///< outcome: applied, stale, rejected
    Gauge lag_seconds(const std::string& projection) const;
    Gauge fanout_oldest_seconds(const std::string& projection) const;
    Counter rejections(const std::string& projection, std::string_view reason) const;

private:
    prometheus::Registry* registry_;
};

struct ReferenceMetrics {
    explicit ReferenceMetrics(prometheus::Registry& registry) : registry_(&registry) {}
    Gauge lag_seconds(const std::string& table, const std::string& node) const;
    Gauge live(const std::string& table, const std::string& node) const;
    Gauge conflicts(const std::string& table, const std::string& node) const;
    Counter rows(const std::string& table, const std::string& node,
                 std::string_view outcome) const; ///< outcome: applied, refused, rejected

private:
    prometheus::Registry* registry_;
};

/// keyshift_build_info{version,compiler} 1, keyshift_config_last_reload_successful, process_* gauges.
struct ProcessMetrics {
    explicit ProcessMetrics(prometheus::Registry& registry);
    Gauge config_last_reload_successful;
    /// Reads /proc/self; called before each scrape.
    void refresh() const;

private:
    prometheus::Registry* registry_;
};

} // namespace keyshift::metrics
