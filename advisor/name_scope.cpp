#include "advisor/name_scope.hpp"

#include "core/json.hpp"

#include <algorithm>

namespace keyshift::advisor {

using Json = nlohmann::json;

bool NameScope::is_with_query(const std::string& name) const
{
    return with_queries.contains(name) || (outer != nullptr && outer->is_with_query(name));
}

std::optional<QualifiedName> find_table(const Tables& tables, const Json& range)
{
    const std::string name = range.at("relname");
    const std::string schema = range.value("schemaname", "");
    if (const auto found = tables.find({schema.empty() ? "public" : schema, name}); found != tables.end()) {
        return found->first;
    }
    std::optional<QualifiedName> only;
    for (const auto& [table, statistics] : tables) {
        if (schema.empty() && table.name == name) {
            if (only) {
                return std::nullopt;
            }
            only = table;
        }
    }
    return only;
}

std::optional<UseColumn> only_with_column(const Tables& tables, const std::vector<TableUse>& uses,
                                          const std::vector<std::size_t>& among, const std::string& column)
{
    std::optional<UseColumn> found;
    for (const std::size_t use : among) {
        if (tables.at(uses[use].table).column(column) != nullptr) {
            if (found) {
                return std::nullopt;
            }
            found = UseColumn{use, column};
        }
    }
    return found;
}

namespace {

std::optional<UseColumn> find_qualified(const Tables& tables, const std::vector<TableUse>& uses, const NameScope& scope,
                                        const std::string& alias, const std::string& column)
{
    for (const NameScope* level = &scope; level != nullptr; level = level->outer) {
        for (const std::size_t use : level->uses) {
            if (uses[use].alias == alias) {
                const bool has = tables.at(uses[use].table).column(column) != nullptr;
                return has ? std::optional(UseColumn{use, column}) : std::nullopt;
            }
        }
        if (level->derived.contains(alias)) {
            return std::nullopt;
        }
    }
    return std::nullopt;
}

} // namespace

std::optional<UseColumn> find_column(const Tables& tables, const std::vector<TableUse>& uses, const NameScope& scope,
                                     const Json& reference)
{
    const Json& fields = reference.at("fields");
    if (!fields.back().contains("String")) {
        return std::nullopt;
    }
    const std::string column = fields.back().at("String").at("sval");
    if (fields.size() > 1) {
        return find_qualified(tables, uses, scope, fields.at(fields.size() - 2).at("String").at("sval"), column);
    }
    for (const NameScope* level = &scope; level != nullptr; level = level->outer) {
        if (const auto found = only_with_column(tables, uses, level->uses, column)) {
            return level->derived.empty() ? found : std::nullopt;
        }
        const bool several = std::any_of(level->uses.begin(), level->uses.end(), [&](std::size_t use) {
            return tables.at(uses[use].table).column(column) != nullptr;
        });
        if (several || !level->derived.empty()) {
            return std::nullopt;
        }
    }
    return std::nullopt;
}

} // namespace keyshift::advisor
