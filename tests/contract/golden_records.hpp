#pragma once
/// Records in the form in which Debezium's and Keyshift's are compared: text by text, but for clocks, WAL positions and
/// names of the run. Debezium's are kept in this form in golden/CASE.tsv.

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
/// By topic (without the prefix) and partition, in order. kAnyPartition: of records without a key, which may be anywhere, and
/// of those whose key depends on the run.
using GoldenRecords = std::map<std::pair<std::string, int>, std::vector<GoldenRecord>>;

inline constexpr int kAnyPartition = -1;

GoldenRecords read_golden(const std::string& file);
void write_golden(const std::string& file, const GoldenRecords& records);
/// A record without clocks, WAL positions, names of the run and Keyshift's own headers.
GoldenRecord golden_form(const kafka::Message& message, const std::string& prefix, const std::string& database);
/// Where the partition is not known only the order of a key's records is: the records by topic and key, those without a key
/// sorted.
GoldenRecords comparable(const GoldenRecords& records);

} // namespace keyshift::test
