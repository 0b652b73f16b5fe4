#include "projections/base_watch.hpp"

#include "catalog/catalog.hpp"
#include "core/json.hpp"
#include "core/log.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace keyshift::projections {

using Json = nlohmann::json;

namespace {

const char* const kColumns =
    "SELECT json_build_array(c.oid::bigint, (SELECT json_agg(json_build_array(a.attnum, a.attname, "
    "pg_catalog.format_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum) FROM pg_catalog.pg_attribute a "
    "WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped))::text "
    "FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass($1)";

} // namespace

BaseWatch::BaseWatch(const ProjectionRecord& record, Target& target) : record_(record), target_(target)
{
    const pg::Result row = target.catalog().query(
        "SELECT coalesce(definition -> 'base_seen', '{}')::text FROM keyshift.projection WHERE id = $1",
        {std::to_string(record.id)});
    if (row.rows() == 0) {
        return;
    }
    seen_ = Json::parse(row.text(0, 0)).get<std::map<std::string, std::string>>();
    for (const auto& [node, seen] : seen_) {
        remembered_[node] = columns_of(seen);
    }
    nodes_ = base_nodes();
}

std::optional<std::int64_t> BaseWatch::Columns::find(const std::string& name) const
{
    const auto found = std::find_if(by_number.begin(), by_number.end(),
                                    [&](const auto& column) { return column.second.name == name; });
    return found == by_number.end() ? std::nullopt : std::optional(found->first);
}

BaseWatch::Columns BaseWatch::columns_of(const std::string& seen)
{
    const Json json = Json::parse(seen);
    Columns columns;
    columns.table = json.at(0);
    for (const Json& column : json.at(1)) {
        columns.by_number[column.at(0)] = {column.at(1), column.at(2)};
    }
    return columns;
}

std::optional<std::string> BaseWatch::read(const std::string& node)
{
    const std::string table = record_.definition.base.quoted();
    const pg::Result row =
        target_.connection(node).run_prepared("base_columns", kColumns, std::vector<pg::Parameter>{table});
    return row.rows() == 0 ? std::nullopt : std::optional(std::string(row.text(0, 0)));
}

/// A table of that name on another node than the one it is captured on is another table.
std::set<std::string> BaseWatch::base_nodes()
{
    const std::vector<std::string> all = target_.nodes();
    std::set<std::string> nodes(all.begin(), all.end());
    for (const catalog::CapturedTable& table : catalog::tables(target_.catalog())) {
        if (table.name == record_.definition.base && table.group.empty()) {
            std::erase_if(nodes, [&](const std::string& node) { return node != table.node; });
        }
    }
    return nodes;
}

BaseLook BaseWatch::look()
{
    nodes_ = base_nodes();
    return look(nodes_);
}

BaseLook BaseWatch::look(const std::set<std::string>& nodes)
{
    for (const std::string& node : nodes) {
        if (!nodes_.contains(node)) {
            continue; // it has gone since
        }
        const std::optional<std::string> present = read(node);
        const auto known = seen_.find(node);
        if (present && (known == seen_.end() || known->second != *present)) {
            return compare();
        }
    }
    return {};
}

BaseLook BaseWatch::compare()
{
    std::map<std::string, std::string> seen;
    Renamed renamed;
    for (const std::string& node : nodes_) {
        std::optional<std::string> text = read(node);
        if (!text) {
            continue;
        }
        const Columns present = columns_of(*text);
        for (const BaseColumn& column : record_.definition.base_columns) {
            const std::string why =
                column.computed.empty() ? compare_column(node, column, present, renamed) : std::string();
            if (!why.empty()) {
                const std::string& name = record_.definition.shown_name();
                return BaseDiffers{parts(
                    why,
                    record_.definition.part_of.empty()
                        ? fmt::format("`keyshift projection rebuild {} --sql 'SELECT ...'` makes it from the "
                                      "table as it is now; until then it stays as it is, and other projections go on.",
                                      name)
                        : fmt::format("Drop projection {} and create it anew from the table as it is now; until "
                                      "then it stays as it is, and other projections go on.",
                                      name))};
            }
        }
        seen[node] = std::move(*text);
    }
    if (!renamed.empty()) {
        return follow(renamed, seen);
    }
    remember(std::move(seen));
    return {};
}

std::string BaseWatch::compare_column(const std::string& node, const BaseColumn& column, const Columns& present,
                                      Renamed& renamed) const
{
    const std::string named = fmt::format("column {} of {}", column.name, record_.definition.base.to_string());
    std::optional<std::int64_t> before;
    if (const auto known = remembered_.find(node); known != remembered_.end() && known->second.table == present.table) {
        before = known->second.find(column.name);
    }
    const std::optional<std::int64_t> now = present.find(column.name);
    if (before && before != now && present.by_number.contains(*before)) {
        return compare_renamed(node, column, present.by_number.at(*before), renamed);
    }
    if (!now) {
        return fmt::format("{} is no longer there on node {}", named, node);
    }
    if (before && before != now) {
        return fmt::format("{} is another column on node {} than the one it was made from", named, node);
    }
    const std::string& type = present.by_number.at(*now).type;
    return type == column.type
               ? ""
               : fmt::format("{} is of type {} on node {}, and it was made from {}", named, type, node, column.type);
}

std::string BaseWatch::compare_renamed(const std::string& node, const BaseColumn& column, const Column& present,
                                       Renamed& renamed) const
{
    const std::string named = fmt::format("column {} of {}", column.name, record_.definition.base.to_string());
    if (present.type != column.type) {
        return fmt::format("{} is called {} on node {} and of type {}, and it was made from {}", named, present.name,
                           node, present.type, column.type);
    }
    if (was_known(present.name)) {
        return fmt::format(
            "{} is called {} on node {}, as another column was before: events do not tell which is meant", named,
            present.name, node);
    }
    const Renames& first = renamed.empty() ? Renames() : renamed.begin()->second;
    if (const auto other = first.find(column.name); other != first.end() && other->second != present.name) {
        return fmt::format("{} is called {} on node {} and {} on node {}", named, other->second, renamed.begin()->first,
                           present.name, node);
    }
    renamed[node][column.name] = present.name;
    return "";
}

BaseLook BaseWatch::follow(const Renamed& renamed, const std::map<std::string, std::string>& seen) const
{
    Renames all;
    for (const auto& [node, renames] : renamed) {
        all.insert(renames.begin(), renames.end());
    }
    for (const auto& [node, text] : seen) {
        const auto here = renamed.find(node);
        for (const auto& [before, after] : all) {
            if (here == renamed.end() || !here->second.contains(before)) {
                return BaseChanging{
                    parts(fmt::format("column {} of {} is called {} on node {}, and not yet on node {}", before,
                                      record_.definition.base.to_string(), after, renamed.begin()->first, node),
                          "Rename it there too: the projection goes on with the new name when every node has it.")};
            }
        }
    }
    return all;
}

bool BaseWatch::was_known(const std::string& name) const
{
    const auto& columns = record_.definition.base_columns;
    return std::any_of(columns.begin(), columns.end(),
                       [&](const BaseColumn& column) {
                           return column.name == name ||
                                  std::find(column.former.begin(), column.former.end(), name) != column.former.end();
                       }) ||
           std::any_of(remembered_.begin(), remembered_.end(),
                       [&](const auto& node) { return node.second.find(name).has_value(); });
}

void BaseWatch::remember(std::map<std::string, std::string> seen)
{
    if (seen == seen_) {
        return;
    }
    target_.catalog().query(
        "UPDATE keyshift.projection SET definition = definition || jsonb_build_object('base_seen', $2::jsonb) WHERE id = $1",
        {std::to_string(record_.id), Json(seen).dump()});
    remembered_.clear();
    for (const auto& [node, text] : seen) {
        remembered_[node] = columns_of(text);
    }
    seen_ = std::move(seen);
}

ErrorParts BaseWatch::parts(std::string why, std::string next) const
{
    return {"keeping projection " + record_.definition.shown_name(), std::move(why), std::move(next)};
}

Goes settle_base(pg::Connection& catalog, const ProjectionRecord& record, const BaseLook& look)
{
    const Definition& definition = record.definition;
    if (const auto* differs = std::get_if<BaseDiffers>(&look)) {
        pause_with(catalog, record.id, differs->why);
        log::error("projections", "projection={} paused: {}", definition.name, differs->why.why);
        return Goes::nowhere;
    }
    if (const auto* changing = std::get_if<BaseChanging>(&look)) {
        wait_with(catalog, record.id, changing->why);
        throw TransientError(changing->why);
    }
    if (const auto* renames = std::get_if<Renames>(&look)) {
        catalog.query("UPDATE keyshift.projection SET definition = definition || $2::jsonb, sql = $3 WHERE id = $1",
                      {std::to_string(record.id), to_json(renamed(definition, *renames)).dump(),
                       definition.part_of.empty() ? renamed_select(record.sql, *renames) : record.sql});
        log::info("projections", "projection={} follows {} columns to their new names", definition.name,
                  renames->size());
        return Goes::anew;
    }
    return Goes::on;
}

} // namespace keyshift::projections
