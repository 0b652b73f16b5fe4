#pragma once
/// A Kafka record to row changes: decodes the Debezium envelope (the whole of it is validated: simdjson's DOM) and decides
/// what moves where. Pure apart from its parser's buffers; one thread.

#include "core/kafka/client.hpp"
#include "projections/definition.hpp"
#include "projections/row_change.hpp"

#include <simdjson.h>

namespace keyshift::projections {

class EventMapper {
public:
    explicit EventMapper(const Definition& definition) : definition_(definition) {}

    /// No changes for a tombstone record, a heartbeat or a logical message.
    Mapped map(const kafka::Message& message);

private:
    struct Side {
        BaseRow row;
        std::vector<std::size_t> absent;
        std::vector<std::size_t> unreadable;
        std::optional<Rejection> fault; ///< of the first column that cannot be used
    };

    Mapped map_event(const kafka::Message& message);
    Side read_side(simdjson::dom::element row, const std::vector<std::string>& absent) const;
    void read_column(Side& side, std::size_t index, std::string_view name, simdjson::dom::element json,
                     const std::vector<std::string>& absent) const;
    /// Under a name that the column had when the event was made. False: the event has it under none.
    bool read_former(Side& side, std::size_t index, simdjson::dom::element row,
                     const std::vector<std::string>& absent) const;
    std::optional<std::size_t> find_column(std::string_view name, std::size_t likely) const;
    /// Its key columns and primary key were in the WAL's old row, and read.
    std::optional<Rejection> identity_fault(const Side& before) const;
    bool has_null_key(const Side& side) const;
    /// Whether the row is at another place than before, as far as `after` can be read.
    bool has_left(const Side& before, const Side& after) const;
    Mapped combine(char operation, const std::optional<Side>& before, std::optional<Side>& after,
                   SourcePosition version, std::string node) const;
    /// Which row the event speaks of, by the sides or else by the record's key.
    std::string row_of(const kafka::Message& message, const std::optional<Side>& before,
                       const std::optional<Side>& after);

    const Definition& definition_;
    simdjson::dom::parser parser_;
    simdjson::dom::parser key_parser_;
};

/// A base row's primary key as text, the same for every event of the row. Empty: a part is NULL.
std::string row_identity(const Definition& definition, const BaseRow& row);

} // namespace keyshift::projections
