#pragma once
/// What the real Debezium wrote (tests/data/debezium, made by contract/golden), and Keyshift's records in the same form.

#include "core/kafka/client.hpp"

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace keyshift::test {

struct GoldenRecord {
    std::string key; ///< "NULL": none
    std::string value;
    std::string headers; ///< "a=b,c=d"

    bool operator==(const GoldenRecord&) const = default;
};
/// By topic (without the prefix) and partition, in order. Records without a key may be in any partition: here kAnyPartition.
using GoldenRecords = std::map<std::pair<std::string, int>, std::vector<GoldenRecord>>;

inline constexpr int kAnyPartition = -1;

GoldenRecords read_golden(const std::string& file);
/// A record without clocks, WAL positions, names of the run and Keyshift's own headers.
GoldenRecord golden_form(const kafka::Message& message, const std::string& prefix, const std::string& database);
/// The same records by topic and key: what remains of their order when the partition is not known.
GoldenRecords by_key(const GoldenRecords& records);
/// Records without a key have no order among partitions: the same records with those sorted.
GoldenRecords keyless_sorted(GoldenRecords records);
/// How many records each topic has.
std::map<std::string, std::size_t> counts(const GoldenRecords& records);

} // namespace keyshift::test
