#pragma once
/// Where Debezium is wrong and Keyshift is not: differences.json, from which docs/debezium.md has its table. An entry says what
/// stands in Debezium's record instead of what must stand in Keyshift's; all else of the record is compared as always.

#include "tests/contract/golden_records.hpp"

#include <string>
#include <vector>

namespace keyshift::test {

/// Debezium's records of a case with every known difference of it put right. Throws when an entry changes nothing: it has
/// no ground any more.
GoldenRecords put_right(const std::string& case_name, const GoldenRecords& debezium);

} // namespace keyshift::test
