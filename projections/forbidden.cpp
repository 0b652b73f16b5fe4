#include "projections/forbidden.hpp"

#include "core/json.hpp"
#include "projections/select_tree.hpp"

#include <utility>

namespace keyshift::projections {

namespace {

struct Forbidden {
    const char* node;
    const char* why;
    const char* next;
};
constexpr Forbidden kForbidden[] = {
    {"SubLink", "a sub-select cannot be kept exact: its tables' changes would not reach this row",
     "Join the table, or make a projection of its own for it."},
    {"WindowFunc", "a window function depends on other rows", "Compute it when reading the projection."},
    {"ParamRef", "a parameter has no value here", "Write the value."},
    {"SQLValueFunction", "its value changes with time or session, so the same row would not stay the same",
     "Store the value in a column of the table."},
    {"A_Star", "which columns * means changes with the table", "Name the columns."},
    {"GroupingFunc", "GROUPING belongs to GROUPING SETS, which make several rows of each",
     "Make one projection for each grouping."},
};

} // namespace

void refuse_node(const std::string& sql, const std::string& node, std::size_t location)
{
    for (const Forbidden& forbidden : kForbidden) {
        if (node == forbidden.node) {
            refuse_at(sql, location, forbidden.why, forbidden.next);
        }
    }
}

void refuse_unkept_clauses(const std::string& sql, const nlohmann::json& select)
{
    static constexpr std::pair<const char*, const char*> kClauses[] = {
        {"distinctClause", "DISTINCT"}, {"sortClause", "ORDER BY"}, {"limitCount", "LIMIT"},
        {"limitOffset", "OFFSET"},      {"withClause", "WITH"},     {"lockingClause", "FOR UPDATE"},
        {"windowClause", "WINDOW"},     {"intoClause", "INTO"},     {"valuesLists", "VALUES"}};
    for (const auto& [field, name] : kClauses) {
        if (select.contains(field)) {
            refuse_at(sql, first_location(select.at(field)),
                      std::string(name) + " is not supported in a projection: it holds rows under another key",
                      "Leave it out, and say it when reading the projection.");
        }
    }
}

} // namespace keyshift::projections
