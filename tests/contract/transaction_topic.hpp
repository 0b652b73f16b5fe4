#pragma once
/// The topic of transaction metadata, whose keys are transaction ids: put into an order and a form that the next run has too.

#include "core/kafka/client.hpp"
#include "tests/contract/golden_records.hpp"

#include <string>
#include <vector>

namespace keyshift::test {

/// The same records, those of the topic PREFIX.transaction last and in the order of the WAL. Left out: transactions without
/// events, which are those of Keyshift itself (its heartbeats).
std::vector<kafka::Message> transactions_in_wal_order(std::vector<kafka::Message> records, const std::string& prefix);

/// The collections of an END record are a set.
void sort_collections(GoldenRecord& record);

} // namespace keyshift::test
