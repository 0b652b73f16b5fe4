#pragma once
/// The block `source` of an event: Debezium 3.2 PostgreSQL connector, io.debezium.connector.postgresql.Source.

#include "cdc/publish/event_publisher.hpp"
#include "cdc/publish/table_encoder.hpp"

#include <string>

namespace keyshift::cdc {

/// txId is null where the context has no transaction.
void append_source(std::string& out, const EventContext& context, const TableEncoder& table);

} // namespace keyshift::cdc
