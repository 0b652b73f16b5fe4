#include "metrics/families.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <array>

namespace keyshift::metrics {

namespace {

using Labels = prometheus::Labels;

// pg_replication_slots.wal_status (PostgreSQL docs, system view pg_replication_slots).
constexpr std::array<std::string_view, 4> kWalStatuses{"reserved", "extended", "unreserved", "lost"};

// From a tenth of a millisecond to the default cap of one second and beyond.
const prometheus::Histogram::BucketBoundaries kWriteBlockSeconds{0.001, 0.0025, 0.005, 0.01, 0.02, 0.05,
                                                                 0.1,   0.25,   0.5,   1,    2.5};

prometheus::Counter& counter(prometheus::Registry& registry, const char* name, const char* help, const Labels& labels)
{
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add(labels);
}

prometheus::Gauge& gauge(prometheus::Registry& registry, const char* name, const char* help, const Labels& labels)
{
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add(labels);
}

} // namespace

CdcMetrics::CdcMetrics(prometheus::Registry& registry, const std::string& node)
    : lag_bytes(gauge(registry, "keyshift_cdc_lag_bytes", "WAL of the node that Kafka has not acknowledged, in bytes.",
                      {{"node", node}})),
      lag_seconds(gauge(registry, "keyshift_cdc_lag_seconds",
                        "Age of the oldest commit that Kafka has not acknowledged.", {{"node", node}})),
      connected(gauge(registry, "keyshift_cdc_connected", "1 while the node's change stream runs.", {{"node", node}})),
      retained_bytes(gauge(registry, "keyshift_slot_retained_bytes",
                           "WAL that the node keeps because of Keyshift's slot.", {{"node", node}})),
      spooled_bytes(gauge(registry, "keyshift_cdc_spooled_bytes",
                          "Changes of open transactions that wait for their commit, in memory and in spool files.",
                          {{"node", node}})),
      kafka_queue_bytes(gauge(registry, "keyshift_kafka_queue_bytes",
                              "Bytes handed to the producer and not yet acknowledged.", {{"node", node}})),
      registry_(&registry), node_(node)
{
    for (const char* reason : {"postgres", "slot_busy", "transient", "unreachable"}) {
        static_cast<void>(reconnects(reason));
    }
    static_cast<void>(kafka_errors("transient"));
}

Counter CdcMetrics::events(const std::string& table, std::string_view op) const
{
    return Counter(counter(*registry_, "keyshift_cdc_events_total", "Change events that Kafka has acknowledged.",
                           {{"node", node_}, {"table", table}, {"op", std::string(op)}}));
}

Counter CdcMetrics::dead_letters(const std::string& table) const
{
    return Counter(counter(*registry_, "keyshift_cdc_dead_letters_total",
                           "Records that are too large for their topic and went to the dead-letter topic instead.",
                           {{"node", node_}, {"table", table}}));
}

Counter CdcMetrics::reconnects(std::string_view reason) const
{
    return Counter(counter(*registry_, "keyshift_cdc_reconnects_total",
                           "Restarts of the node's change stream, by what made it necessary.",
                           {{"node", node_}, {"reason", std::string(reason)}}));
}

Counter CdcMetrics::kafka_errors(std::string_view error_class) const
{
    return Counter(counter(*registry_, "keyshift_kafka_errors_total", "Errors of the Kafka producers, by class.",
                           {{"class", std::string(error_class)}}));
}

void CdcMetrics::wal_status(std::string_view status) const
{
    for (const std::string_view known : kWalStatuses) {
        gauge(*registry_, "keyshift_slot_wal_status",
              "1 for the present wal_status of Keyshift's slot, 0 for the others.",
              {{"node", node_}, {"status", std::string(known)}})
            .Set(known == status ? 1 : 0);
    }
}

ReshardMetrics::ReshardMetrics(prometheus::Registry& registry)
    : write_block_seconds(prometheus::BuildHistogram()
                              .Name("keyshift_reshard_write_block_seconds")
                              .Help("How long writes to a bucket were refused or waited while it changed its node.")
                              .Register(registry)
                              .Add({}, kWriteBlockSeconds)),
      verify_differences(counter(registry, "keyshift_reshard_verify_differences_total",
                                 "Moves that were taken back because donor and recipient did not hold the same rows.",
                                 {})),
      registry_(&registry)
{
}

Gauge ReshardMetrics::moves(std::string_view state) const
{
    return Gauge(gauge(*registry_, "keyshift_reshard_moves", "Moves of the newest job by state.",
                       {{"state", std::string(state)}}));
}

Counter ReshardMetrics::rows_copied(const std::string& donor, const std::string& recipient) const
{
    return Counter(counter(*registry_, "keyshift_reshard_rows_copied_total", "Rows copied from donor to recipient.",
                           {{"donor", donor}, {"recipient", recipient}}));
}

ProjectionMetrics::ProjectionMetrics(prometheus::Registry& registry) : registry_(&registry) {}

Counter ProjectionMetrics::rows(const std::string& projection, std::string_view outcome) const
{
    return Counter(counter(*registry_, "keyshift_projection_rows_total",
                           "Rows written to a projection: applied, stale (a newer version was there) or rejected.",
                           {{"projection", projection}, {"outcome", std::string(outcome)}}));
}

Gauge ProjectionMetrics::lag_seconds(const std::string& projection) const
{
    return Gauge(gauge(*registry_, "keyshift_projection_lag_seconds",
                       "Age of the oldest change that the projection does not show.", {{"projection", projection}}));
}

Gauge ProjectionMetrics::fanout_oldest_seconds(const std::string& projection) const
{
    return Gauge(gauge(*registry_, "keyshift_projection_fanout_oldest_seconds",
                       "Age of the oldest change of a joined table that is not on every node that reads it.",
                       {{"projection", projection}}));
}

Counter ProjectionMetrics::rejections(const std::string& projection, std::string_view reason) const
{
    return Counter(counter(*registry_, "keyshift_projection_rejections_total",
                           "Events that the projection could not use, by reason.",
                           {{"projection", projection}, {"reason", std::string(reason)}}));
}

Gauge ReferenceMetrics::lag_seconds(const std::string& table, const std::string& node) const
{
    return Gauge(gauge(*registry_, "keyshift_reference_lag_seconds",
                       "Age of the oldest change that the node's copy of a reference table does not show.",
                       {{"table", table}, {"node", node}}));
}

Gauge ReferenceMetrics::live(const std::string& table, const std::string& node) const
{
    return Gauge(
        gauge(*registry_, "keyshift_reference_live",
              "1 while the node's copy of a reference table is complete, 0 while it is filled or stands still.",
              {{"table", table}, {"node", node}}));
}

Gauge ReferenceMetrics::conflicts(const std::string& table, const std::string& node) const
{
    return Gauge(gauge(*registry_, "keyshift_reference_conflicts",
                       "Rows that the node refuses to have as the home of the reference table has them.",
                       {{"table", table}, {"node", node}}));
}

Counter ReferenceMetrics::rows(const std::string& table, const std::string& node, std::string_view outcome) const
{
    return Counter(counter(*registry_, "keyshift_reference_rows_total",
                           "Changes of a reference table at a node's copy: applied, refused or rejected.",
                           {{"table", table}, {"node", node}, {"outcome", std::string(outcome)}}));
}

} // namespace keyshift::metrics
