#pragma once
/// Columns that hold the same kind of value: tied by foreign keys, by joins, by one parameter, or by the name and type of a
/// primary key.

#include "advisor/statistics.hpp"
#include "advisor/workload.hpp"

#include <compare>
#include <map>
#include <string>

namespace keyshift::advisor {

struct TableColumn {
    QualifiedName table;
    std::string column;

    auto operator<=>(const TableColumn&) const = default;
};

class Domains {
public:
    Domains(const DatabaseStatistics& database, const Workload& workload);
    /// The name of its domain: that of one of its columns.
    TableColumn of(const TableColumn& column) const;

private:
    void unite(const TableColumn& one, const TableColumn& other);
    std::map<TableColumn, TableColumn> above_;
};

} // namespace keyshift::advisor
