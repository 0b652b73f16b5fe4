#pragma once
/// Keeps every copy of every reference table: one thread for each node and each home, so that a node that is away holds up no
/// other.

#include "projections/projections.hpp"

#include <memory>
#include <stop_token>

namespace keyshift::metrics {
struct ReferenceMetrics;
}

namespace keyshift::projections {

class ReferenceService {
public:
    ReferenceService(pg::ConnectionSettings catalog, ProjectionOptions options, metrics::ReferenceMetrics& metrics);
    ~ReferenceService();
    /// Until stop. What keeps a copy from being kept is written to keyshift.reference_copy, and tried again.
    void run(std::stop_token stop);

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace keyshift::projections
