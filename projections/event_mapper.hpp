#pragma once
/// A Kafka record to row changes: decodes the Debezium envelope (the whole of it is validated: simdjson's DOM) and decides
/// what moves where. Pure apart from its parser's buffers, and from what ComputedKeys asks for a key that is an expression; one
/// thread.

#include "core/kafka/client.hpp"
#include "projections/computed_keys.hpp"
#include "projections/definition.hpp"
#include "projections/row_change.hpp"

#include <simdjson.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace keyshift::projections {

class EventMapper {
public:
    /// `keys`: needed where the definition has computed columns; must live as long.
    explicit EventMapper(const Definition& definition, ComputedKeys* keys = nullptr);

    /// No changes for a tombstone record, a heartbeat or a logical message.
    Mapped map(const kafka::Message& message);
    /// Of each, in their order; computed keys are asked for once for all of them.
    std::vector<Mapped> map(std::span<const kafka::Message> messages);

private:
    struct Side {
        BaseRow row;
        std::vector<std::size_t> absent;
        std::vector<std::size_t> unreadable;
        std::optional<Rejection> fault; ///< of the first column that cannot be used
        bool nowhere = false;           ///< its key cannot be computed, and WHERE does not take it
    };
    /// An event as it was read.
    struct Opened {
        std::optional<Mapped> outcome; ///< where nothing else of it counts
        char operation = 0;
        std::optional<Side> before;
        std::optional<Side> after;
        SourcePosition version;
        std::string node;
        std::optional<std::uint32_t> transaction; ///< where columns are absent
    };

    Opened open(const kafka::Message& message);
    void compute_keys(std::vector<Opened>& events) const;
    void blame_absent_sources(Side& side) const;
    Mapped decide(const kafka::Message& message, Opened event);
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
    Mapped combine(Opened& event) const;
    /// Which row the event speaks of, by the sides or else by the record's key.
    std::string row_of(const kafka::Message& message, const std::optional<Side>& before,
                       const std::optional<Side>& after);

    const Definition& definition_;
    ComputedKeys* keys_;                        ///< null: no key is computed
    std::vector<std::size_t> identity_columns_; ///< what an old row must have
    simdjson::dom::parser parser_;
    simdjson::dom::parser key_parser_;
};

/// A base row's primary key as text, the same for every event of the row. Empty: a part is NULL.
std::string row_identity(const Definition& definition, const BaseRow& row);

} // namespace keyshift::projections
