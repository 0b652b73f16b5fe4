#pragma once
/// A reference table as its keeper knows it, and its events as the keeper reads them from the topic. Plain data and a pure
/// reader.

#include "catalog/catalog.hpp"
#include "core/change_event.hpp"
#include "core/kafka/client.hpp"
#include "projections/definition.hpp"
#include "projections/projections.hpp"
#include "projections/row_change.hpp"

#include <simdjson.h>

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace keyshift::projections {

struct ReferenceTable {
    std::int64_t id = 0; ///< keyshift.captured_table
    QualifiedName name;
    std::string home;
    std::string topic;
    std::vector<BaseColumn> columns; ///< all but generated ones
    std::vector<bool> settable;      ///< per column; false: GENERATED ALWAYS AS IDENTITY, which no UPDATE takes
    std::vector<std::size_t> key;    ///< places of the primary key's columns
    std::string definition;          ///< catalog::shape_of_table of the home
    std::string shape;               ///< with how events carry the columns; a copy of another one is filled anew
};

/// As the table is on its home. Throws Error(refused) when there is no such table.
ReferenceTable read_reference_table(pg::Connection& home, const catalog::CapturedTable& table, const EventForms& forms,
                                    const std::string& topic_prefix);
/// Why events do not carry all of the table; nullopt: they do.
std::optional<ErrorParts> lost_in_events(const ReferenceTable& table);

/// One value a column of the primary key.
using RowKey = std::vector<std::string>;

struct ReferenceEvent {
    enum class Kind : std::uint8_t { put, remove, truncate };
    Kind kind = Kind::put;
    SourcePosition position;
    std::uint32_t xid = 0;
    RowKey key;                       ///< of the row as it is afterwards; of the removed one
    std::optional<RowKey> moved_from; ///< an UPDATE that changed the key
    BaseRow row;                      ///< of put: a value per column
    std::vector<std::size_t> absent;  ///< of put: columns that the WAL did not carry, which are as they were
};

class ReferenceReader {
public:
    explicit ReferenceReader(const ReferenceTable& table) : table_(table) {}

    /// monostate: nothing that changes a copy (tombstones, rows of a snapshot, messages).
    std::variant<std::monostate, ReferenceEvent, Rejection> read(const kafka::Message& message);

private:
    std::optional<Rejection> read_row(simdjson::dom::element row, const std::vector<std::string>& absent,
                                      ReferenceEvent& event) const;
    std::optional<Rejection> read_key(simdjson::dom::element row, RowKey& key) const;

    const ReferenceTable& table_;
    simdjson::dom::parser parser_;
};

} // namespace keyshift::projections
