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
    };

    std::variant<Side, Rejection> read_side(simdjson::dom::element row, const std::vector<std::string>& absent) const;
    std::optional<Rejection> missing_identity(const Side& before) const;
    bool same_register(const BaseRow& a, const BaseRow& b) const;
    std::optional<Rejection> null_key(const Side& side) const;
    Mapped combine(char operation, std::optional<Side> before, std::optional<Side> after, SourcePosition version,
                   std::string node) const;

    const Definition& definition_;
    simdjson::dom::parser parser_;
};

} // namespace keyshift::projections
