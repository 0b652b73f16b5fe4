#include "metrics/families.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace keyshift::metrics {

void Counter::add(double amount) const
{
    series_->Increment(amount);
}

double Counter::value() const
{
    return series_->Value();
}

void Gauge::set(double value) const
{
    series_->Set(value);
}

double Gauge::value() const
{
    return series_->Value();
}

void Histogram::observe(double value) const
{
    series_->Observe(value);
}

Metrics::Metrics() : registry_(std::make_shared<prometheus::Registry>(prometheus::Registry::InsertBehavior::Merge)) {}
Metrics::~Metrics() = default;

std::string Metrics::render() const
{
    return prometheus::TextSerializer().Serialize(registry_->Collect());
}

} // namespace keyshift::metrics
