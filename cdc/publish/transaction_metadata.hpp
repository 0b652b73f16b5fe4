#pragma once
/// The topic `<prefix>.transaction` and the block `transaction` of events: Debezium 3.2, provide.transaction.metadata. BEGIN
/// goes before a transaction's first event, also one that is not shown (TRUNCATE); END has the counts. One thread.

#include "cdc/source/change.hpp"
#include "core/lsn.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace keyshift::cdc {

/// One record of the topic, as JSON without schemas.
struct TransactionRecord {
    std::string key;
    std::string value;
};

class TransactionMetadata {
public:
    /// What comes is of this transaction; an unfinished one before it never was.
    void begin(const Begin& transaction);
    /// BEGIN was made, END was not.
    bool open() const { return open_; }

    TransactionRecord begin_record(Lsn first_event);
    /// {"id":...,"total_order":...,"data_collection_order":...} of the next event; `collection`: "schema.table".
    void append_block(std::string& out, std::string_view collection, Lsn event);
    TransactionRecord end_record(Lsn end);

private:
    std::string id(Lsn lsn) const;

    Begin transaction_;
    bool open_ = false;
    std::uint64_t total_ = 0;
    std::map<std::string, std::uint64_t, std::less<>> by_collection_;
};

} // namespace keyshift::cdc
