#pragma once

#include "cdc/publish/partition_counts.hpp"
#include "core/pg/connection.hpp"

namespace keyshift::cdc {

/// keyshift.topic, into which the partition counts of all nodes' streams go.
void read_topic_rows(pg::Connection& catalog, PartitionCounts& counts);
void write_topic_rows(pg::Connection& catalog, PartitionCounts& counts);

} // namespace keyshift::cdc
