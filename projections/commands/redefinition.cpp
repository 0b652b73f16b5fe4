#include "projections/commands/redefinition.hpp"

#include "catalog/node_access.hpp"
#include "catalog/option_check.hpp"
#include "core/error.hpp"
#include "core/json.hpp"
#include "projections/commands/creation.hpp"
#include "projections/commands/identity_alters.hpp"
#include "projections/commands/projection_table.hpp"
#include "projections/composite_select.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace keyshift::projections {

namespace {

std::string another_name(const std::string& name)
{
    return fmt::format("Create it under another name, let the readers change over, then `keyshift projection drop {}`.",
                       name);
}

Definition same_place(Definition made, const Definition& serving, int generation)
{
    made.generation = generation;
    made.view_schema = serving.view_schema;
    made.group = serving.group;
    made.routed_as_schema = serving.routed_as_schema;
    return made;
}

void add_missing(std::vector<std::string>& all, const std::vector<std::string>& more)
{
    for (const std::string& one : more) {
        if (std::find(all.begin(), all.end(), one) == all.end()) {
            all.push_back(one);
        }
    }
}

} // namespace

Redefinition::Redefinition(pg::Connection& catalog, const ProjectionRecord& serving, const RebuildRequest& request,
                           int generation)
    : catalog_(catalog)
{
    const Definition& old = serving.definition;
    const std::string doing = "rebuilding projection " + request.name;
    if (is_composite(request.sql)) {
        throw RefusedError({doing, "a SELECT over several tables has tables of its own beside each other",
                            another_name(request.name)});
    }
    const ParsedSelect select = parse_select(request.sql);
    base_ = find_base(catalog, select);
    if (base_.name != old.base) {
        throw RefusedError(
            {doing,
             fmt::format("it is made from {}, and the SELECT reads {}", old.base.to_string(), base_.name.to_string()),
             another_name(request.name)});
    }
    const std::vector<catalog::Node> sources = nodes_of(catalog, base_);
    if (sources.empty()) {
        throw RefusedError(
            {doing, "no active node has table " + base_.name.to_string(), "`keyshift node list` shows the nodes."});
    }
    pg::Connection first(sources.front().connection("projection rebuild"));
    CreateRequest made;
    made.name = request.name;
    made.key = request.key.empty() ? shown_key(old) : request.key;
    made.sql = request.sql;
    made.skip_null = request.skip_null || old.skip_null;
    made.forms = request.forms;
    definition_ = same_place(define(first, made, select, base_), old, generation);
    if (definition_.key_types != old.key_types) {
        throw RefusedError({doing, "its buckets are made by a key of another type", another_name(request.name)});
    }
    refuse_what_events_hide(definition_, base_.options);
    for (catalog::OpenNode& node : catalog::open_nodes(catalog, "projection rebuild")) {
        try {
            refuse_views_in_the_way(*node.connection, read_view(definition_));
        } catch (const FatalError& error) {
            throw RefusedError(
                {doing, error.parts().why, "Drop them first; they can be made again over the new columns."});
        }
    }
    buckets_ = base_.group.empty() ? BucketLayout(1) : catalog::group(catalog, base_.group).buckets;
    for (const Definition& other : siblings(catalog, definition_)) {
        add_missing(other_keys_, key_sources(other));
    }
    for (const Definition& other : all_generations(catalog, request.name)) {
        add_missing(other_keys_, key_sources(other));
    }
    alters_ = needed_on(first);
    if (!alters_.empty() && !request.apply && !request.dry_run) {
        refuse_alters(doing, alters_);
    }
}

/// The index has the generation in its name: the one before has its own, which other leaves may still use.
std::vector<std::string> Redefinition::needed_on(pg::Connection& node)
{
    Definition named = definition_;
    named.name = fmt::format("{}__g{}", definition_.name, definition_.generation);
    std::vector<std::string> alters = needed_alters(node, named, base_, buckets_, other_keys_);
    add_missing(definition_.identity_indexes, named.identity_indexes);
    definition_.identity_full = definition_.identity_full || named.identity_full;
    return alters;
}

void Redefinition::prepare_base()
{
    for (const Definition& other : all_generations(catalog_, definition_.name)) {
        add_missing(definition_.identity_indexes, other.identity_indexes);
        definition_.identity_full = definition_.identity_full || other.identity_full;
    }
    catalog_.query("UPDATE keyshift.projection SET definition = definition || $2::jsonb WHERE name = $1",
                   {definition_.name, nlohmann::json{{"identity_indexes", definition_.identity_indexes},
                                                     {"identity_full", definition_.identity_full}}
                                          .dump()});
    for (const catalog::Node& node : nodes_of(catalog_, base_)) {
        pg::Connection connection(node.connection("projection rebuild"));
        for (const std::string& alter : needed_on(connection)) {
            connection.script(alter);
        }
    }
}

} // namespace keyshift::projections
