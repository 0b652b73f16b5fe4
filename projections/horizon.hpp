#pragma once
/// A commit can be decoded, and its event be in Kafka, before any snapshot shows it: a moment before, and much longer while a
/// synchronous standby is waited for. Whoever reads rows beside their events waits until all that were in progress have ended.

#include "core/pg/connection.hpp"

#include <string>

namespace keyshift::projections {

class Horizon {
public:
    /// Now, on this node.
    explicit Horizon(pg::Connection& node);
    /// All transactions of the node that were in progress at it have ended.
    bool passed(pg::Connection& node) const;

private:
    std::string barrier_; ///< beyond all numbers that had been given to transactions
};

} // namespace keyshift::projections
