#include "projections/commands/composite.hpp"

#include "catalog/rows.hpp"

#include <fmt/core.h>

namespace keyshift::projections {

std::string member_name(const std::string& projection, std::size_t number)
{
    return fmt::format("{}__m{}", projection, number);
}

std::optional<Composite> read_composite(pg::Connection& catalog, const std::string& name)
{
    const pg::Result row =
        catalog.query("SELECT view_schema, sql, key, members FROM keyshift.composite WHERE name = $1", {name});
    if (row.rows() == 0) {
        return std::nullopt;
    }
    return Composite{name, std::string(row.text(0, 0)), std::string(row.text(0, 1)),
                     catalog::read_array(row.text(0, 2)), catalog::read_array(row.text(0, 3))};
}

std::vector<std::string> members_of(pg::Connection& catalog, const std::string& name)
{
    const auto composite = read_composite(catalog, name);
    return composite ? composite->members : std::vector{name};
}

std::string routed_member(pg::Connection& catalog, const std::string& name)
{
    const pg::Result row = catalog.query(
        "SELECT name FROM keyshift.projection WHERE part_of = $1 AND serving AND definition ->> 'routed_as_schema' <> ''",
        {name});
    return row.rows() == 0 ? name : std::string(row.text(0, 0));
}

} // namespace keyshift::projections
