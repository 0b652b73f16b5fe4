#pragma once
/// Writes rows and events to one copy, inside the caller's transaction on its node. Statements follow the table's columns.

#include "core/pg/connection.hpp"
#include "projections/reference/reference_event.hpp"

#include <string>
#include <vector>

namespace keyshift::projections {

/// True where the server refused the row for what the row or the node's other tables are: the rest can go on.
bool refuses_the_row(const std::string& sqlstate);

class CopyWriter {
public:
    CopyWriter(pg::Connection& node, const ReferenceTable& table);

    /// False: the event does not carry the whole row, and there is none here.
    bool apply(const ReferenceEvent& event);
    void put(const BaseRow& row);
    void remove(const RowKey& key);

    /// The row as another node has it; nullopt: none.
    std::optional<BaseRow> read(pg::Connection& from, const RowKey& key) const;

    void remember_conflict(const RowKey& key, const std::string& reason);
    void forget_conflict(const RowKey& key);

private:
    bool update(const ReferenceEvent& event);
    void run(const std::string& purpose, const std::string& sql, const std::vector<pg::Parameter>& parameters,
             std::int64_t* affected = nullptr);
    /// "a = $n::type AND b = ..." from parameter `first` on.
    std::string key_condition(std::size_t first) const;

    pg::Connection& node_;
    const ReferenceTable& table_;
    const std::string quoted_;
    std::string upsert_;
    std::string delete_;
};

/// keyshift.reference_conflict.key both ways.
std::string key_array(const RowKey& key);

/// The columns, quoted, with a prefix and a suffix each: "f.\"a\"::text, f.\"b\"::text".
std::string column_list(const ReferenceTable& table, const std::string& prefix = {}, const std::string& suffix = {});
std::string key_list(const ReferenceTable& table, const std::string& prefix = {}, const std::string& suffix = {});

} // namespace keyshift::projections
