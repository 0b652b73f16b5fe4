#include "projections/renamed_columns.hpp"

#include "core/json.hpp"
#include "projections/select_tree.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <string_view>
#include <vector>

namespace keyshift::projections {

namespace {

using Json = nlohmann::json;

struct Edit {
    std::size_t begin = 0;
    std::size_t end = 0;
    std::string text;
};

bool in_name(char letter)
{
    return std::isalnum(static_cast<unsigned char>(letter)) != 0 || letter == '_' || letter == '$' ||
           static_cast<unsigned char>(letter) >= 0x80;
}

/// Behind the name, quoted or not, that begins at `at`.
std::size_t behind_name(const std::string& sql, std::size_t at)
{
    if (sql.at(at) != '"') {
        while (at < sql.size() && in_name(sql[at])) {
            ++at;
        }
        return at;
    }
    for (++at; sql.at(at) != '"' || (at + 1 < sql.size() && sql[at + 1] == '"'); ++at) {
        at += sql[at] == '"' ? 1 : 0;
    }
    return at + 1;
}

/// The last name of a reference such as i."user id".
Edit last_name(const std::string& sql, const Json& reference)
{
    Edit name;
    name.end = location_of(reference);
    for (std::size_t field = 0; field < reference.at("fields").size(); ++field) {
        name.begin = name.end;
        while (sql.at(name.begin) != '"' && !in_name(sql[name.begin])) {
            ++name.begin;
        }
        name.end = behind_name(sql, name.begin);
    }
    return name;
}

/// A name without an AS is the output column's too, and stays.
void find_names(const std::string& sql, const Json& node, const Renames& renames, bool shown, std::vector<Edit>& edits)
{
    if (node.is_array()) {
        for (const Json& inner : node) {
            find_names(sql, inner, renames, false, edits);
        }
        return;
    }
    if (!node.is_object()) {
        return;
    }
    for (const auto& [name, inner] : node.items()) {
        if (name == "ResTarget") {
            find_names(sql, inner.at("val"), renames, !inner.contains("name"), edits);
        } else if (name == "ColumnRef" && inner.at("fields").back().contains("String")) {
            const auto found = renames.find(inner.at("fields").back().at("String").at("sval").get<std::string>());
            if (found != renames.end()) {
                Edit edit = last_name(sql, inner);
                edit.text =
                    quote_identifier(found->second) + (shown ? " AS " + quote_identifier(found->first) : std::string());
                edits.push_back(std::move(edit));
            }
        } else {
            find_names(sql, inner, renames, false, edits);
        }
    }
}

void rename_all(std::vector<std::string>& names, const Renames& renames)
{
    for (std::string& name : names) {
        const auto found = renames.find(name);
        name = found == renames.end() ? name : found->second;
    }
}

} // namespace

std::string renamed_select(const std::string& sql, const Renames& renames)
{
    std::vector<Edit> edits;
    find_names(sql, parse_select_tree(sql), renames, false, edits);
    std::sort(edits.begin(), edits.end(), [](const Edit& a, const Edit& b) { return a.begin > b.begin; });
    std::string text = sql;
    for (const Edit& edit : edits) {
        text.replace(edit.begin, edit.end - edit.begin, edit.text);
    }
    return text;
}

namespace {

struct Clauses {
    std::string list;
    std::string condition; ///< empty: none
};

Clauses renamed(const Definition& definition, const Clauses& clauses, const Renames& renames)
{
    const std::string text = canonical(renamed_select(
        fmt::format("SELECT {} FROM {} AS {}{}", clauses.list, definition.base.quoted(),
                    quote_identifier(definition.alias), clauses.condition.empty() ? "" : " WHERE " + clauses.condition),
        renames));
    constexpr std::string_view kSelect = "SELECT ";
    constexpr std::string_view kFrom = " FROM ";
    constexpr std::string_view kWhere = " WHERE ";
    const std::size_t table = location_of(parse_select_tree(text).at("fromClause").front().at("RangeVar"));
    return {text.substr(kSelect.size(), table - kFrom.size() - kSelect.size()),
            clauses.condition.empty() ? "" : text.substr(text.find(kWhere, table) + kWhere.size())};
}

} // namespace

Definition renamed(Definition definition, const Renames& renames)
{
    const Clauses now = renamed(definition, {definition.select_list, definition.condition}, renames);
    definition.select_list = now.list;
    definition.condition = now.condition;
    rename_all(definition.key_base, renames);
    rename_all(definition.pk, renames);
    for (BaseColumn& column : definition.base_columns) {
        if (!column.computed.empty()) {
            // With a name, or what is renamed would be given the old one.
            constexpr std::string_view kName = " AS _ks_key";
            column.computed = renamed(definition, {column.computed + std::string(kName), ""}, renames).list;
            column.computed.resize(column.computed.size() - kName.size());
            rename_all(column.computed_from, renames);
        }
        if (const auto found = renames.find(column.name); found != renames.end()) {
            column.former.push_back(column.name);
            column.name = found->second;
        }
    }
    return definition;
}

} // namespace keyshift::projections
