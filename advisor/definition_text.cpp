#include "advisor/definition_sketch.hpp"
#include "advisor/sql_name.hpp"

#include <algorithm>
#include <utility>

namespace keyshift::advisor {

namespace {

/// In the order in which the table has them, the key first.
std::vector<UseColumn> in_order(const DefinitionSketch& sketch, const DatabaseStatistics& database)
{
    std::vector<UseColumn> columns(sketch.columns.begin(), sketch.columns.end());
    const auto place = [&](const UseColumn& column) {
        const auto& all = database.tables.at(sketch.bases[column.use]).columns;
        return std::find_if(all.begin(), all.end(),
                            [&](const ColumnStatistics& one) { return one.name == column.column; }) -
               all.begin();
    };
    std::stable_sort(columns.begin(), columns.end(), [&](const UseColumn& left, const UseColumn& right) {
        if ((left == sketch.key) != (right == sketch.key)) {
            return left == sketch.key;
        }
        return std::pair(left.use, place(left)) < std::pair(right.use, place(right));
    });
    return columns;
}

std::string select_list(const DefinitionSketch& sketch, const DatabaseStatistics& database)
{
    std::string list;
    std::set<std::string> names;
    for (const UseColumn& column : in_order(sketch, database)) {
        const std::string& alias = sketch.aliases.at(column.use);
        list += (list.empty() ? "" : ", ") + (alias.empty() ? "" : sql_name(alias) + ".") + sql_name(column.column);
        std::string name = column.column;
        if (!names.insert(name).second) {
            name = alias + "_" + name;
            while (!names.insert(name).second) {
                name += "_2";
            }
            list += " AS " + sql_name(name);
        }
    }
    for (const auto& [name, call] : sketch.totals) {
        list += ", " + call + " AS " + sql_name(name);
    }
    return list;
}

} // namespace

std::string DefinitionSketch::identity() const
{
    std::string text =
        std::to_string(static_cast<int>(kind)) + " " + std::to_string(key.use) + "." + key.column + " " + tables;
    if (kind == Kind::totals) {
        for (const UseColumn& column : columns) {
            text += " " + column.column;
        }
    }
    return text;
}

std::string DefinitionSketch::sql(const DatabaseStatistics& database) const
{
    if (kind == Kind::united) {
        return tables;
    }
    std::string text = "SELECT " + select_list(*this, database) + " " + tables;
    if (kind == Kind::totals) {
        std::string groups;
        for (const UseColumn& column : in_order(*this, database)) {
            groups += (groups.empty() ? "" : ", ") + sql_name(column.column);
        }
        text += " GROUP BY " + groups;
    }
    return text;
}

/// posts_by_id, interactions_totals_by_post_id, posts_users_by_user_id: of letters, digits and underscores, at most 50.
std::string DefinitionSketch::suggested_name() const
{
    constexpr std::size_t kLongest = 46;
    std::string name;
    std::vector<QualifiedName> named;
    for (const QualifiedName& base : bases) {
        if (std::find(named.begin(), named.end(), base) == named.end()) {
            named.push_back(base);
            name += (name.empty() ? "" : "_") + base.name;
        }
    }
    name += kind == Kind::totals ? "_totals_by_" : "_by_";
    name += key.column;
    for (char& byte : name) {
        const bool upper = byte >= 'A' && byte <= 'Z';
        const bool plain = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || upper;
        byte = upper ? static_cast<char>(byte - 'A' + 'a') : plain ? byte : '_';
    }
    return name.size() > kLongest ? name.substr(0, kLongest) : name;
}

} // namespace keyshift::advisor
