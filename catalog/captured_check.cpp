#include "catalog/captured_check.hpp"

#include "catalog/option_check.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keyshift::catalog {

namespace {

/// As ALTER PUBLICATION takes the table.
std::string published_form(const CapturedTable& table)
{
    const std::string& where = table.options.where;
    return "ONLY " + table.name.quoted() + (where.empty() ? "" : fmt::format(" WHERE ({})", where));
}

void check_publication(const OpenNode& open, const CapturedTable& table, const std::string& object,
                       std::vector<Finding>& findings)
{
    const std::string publication = quote_identifier(open.node.slot);
    const pg::Result rows = open.connection->query(
        "SELECT r.prqual IS NOT NULL FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid "
        "WHERE p.pubname = $1 AND r.prrelid = pg_catalog.to_regclass($2)",
        {open.node.slot, table.name.quoted()});
    if (rows.rows() == 0) {
        findings.push_back({"publication_incomplete", object, "error",
                            "it is captured, but its changes are not published",
                            fmt::format("ALTER PUBLICATION {} ADD TABLE {};", publication, published_form(table))});
    } else if (rows.boolean(0, 0) == table.options.where.empty()) {
        findings.push_back(
            {"row_filter_differs", object, "error", "its row filter in the publication is not that of `table capture`",
             fmt::format("ALTER PUBLICATION {0} DROP TABLE ONLY {1}; ALTER PUBLICATION {0} ADD TABLE {2};", publication,
                         table.name.quoted(), published_form(table))});
    }
}

} // namespace

void check_captured(const OpenNode& open, const CapturedTable& table, std::vector<Finding>& findings)
{
    const std::string object = table.name.to_string() + " on " + open.node.name;
    check_publication(open, table, object, findings);
    if (!table_exists(*open.connection, table.name)) {
        return;
    }
    const OptionTable columns = read_option_table(*open.connection, table.name);
    if (std::ranges::none_of(columns.columns, &OptionTable::Column::identity)) {
        findings.push_back({"replica_identity_missing", object, "error",
                            "UPDATE and DELETE of it fail: it is published, and its replica identity is NOTHING, or "
                            "DEFAULT without a primary key",
                            fmt::format("ALTER TABLE {} REPLICA IDENTITY FULL;", table.name.quoted())});
    }
}

} // namespace keyshift::catalog
