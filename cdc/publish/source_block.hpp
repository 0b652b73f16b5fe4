#pragma once
/// The block `source` of an event: Debezium 3.2 PostgreSQL connector, io.debezium.connector.postgresql.Source.

#include "cdc/publish/event_publisher.hpp"
#include "cdc/publish/table_encoder.hpp"

#include <optional>
#include <string>

namespace keyshift::cdc {

/// What one transaction's events of one table have in common is written once.
class SourceBlock {
public:
    /// txId is null where the context has no transaction.
    void append(std::string& out, const EventContext& context, const TableEncoder& table);
    /// A TableEncoder is there no more; another may be in its place.
    void forget() { table_ = nullptr; }

private:
    bool fits(const EventContext& context, const TableEncoder& table) const;
    void prepare(const EventContext& context, const TableEncoder& table);

    std::string before_;  ///< up to the LSN in the sequence
    std::string between_; ///< from there up to the LSN
    // What they are of.
    const TableEncoder* table_ = nullptr;
    std::optional<Lsn> last_commit_lsn_;
    std::int64_t commit_time_us_ = 0;
    std::uint32_t xid_ = 0;
    std::string snapshot_;
};

} // namespace keyshift::cdc
