#pragma once
/// What is written to a table while nobody reads it, to be drained afterwards.

#include <string>

namespace keyshift::bench {

struct Workload {
    std::string what;
    std::string table; ///< of public
    std::string create;
    std::string transactions; ///< SQL; {}: how many
    int changes = 0;          ///< of one transaction
    int records = 0;          ///< of one transaction in the topic; a delete has its tombstone too
};

/// Two uuids and 64 bytes of text, 100 rows a transaction.
Workload inserts();
/// 20 columns of many types; 5 inserts, 3 updates and 2 deletes a transaction.
Workload mixed();

} // namespace keyshift::bench
