#include "projections/commands/base_table.hpp"
#include "projections/commands/comparison.hpp"
#include "projections/commands/creation.hpp"
#include "projections/commands/estimate.hpp"
#include "projections/commands/identity_alters.hpp"
#include "projections/commands/projection_table.hpp"
#include "projections/composite_select.hpp"
#include "projections/projection_record.hpp"

#include "catalog/distributed_root.hpp"
#include "catalog/node_access.hpp"
#include "catalog/option_check.hpp"
#include "catalog/rights.hpp"
#include "catalog/rows.hpp"
#include "core/error.hpp"
#include "core/json.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace keyshift::projections {

using Json = nlohmann::json;

namespace {

/// Of a create that was killed: the catalog knows no projection of this name, and keys are routed by its view.
bool is_left_over(pg::Connection& node, const QualifiedName& view)
{
    return node.query("SELECT FROM keyshift.local_table WHERE alias = to_regclass($1)", {view.quoted()}).rows() > 0;
}

} // namespace

void check_name(pg::Connection& catalog, pg::Connection& node, const CreateRequest& request, const std::string& schema)
{
    const std::string doing = "creating projection " + request.name;
    constexpr std::size_t kLongest = 50;
    if (request.name.empty() || request.name.size() > kLongest ||
        request.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") != std::string::npos) {
        throw RefusedError(
            {doing, "the name is not plain", "Use up to 50 lower case letters, digits and underscores."});
    }
    if (!projection_of_member(request.name).empty()) {
        throw RefusedError(
            {doing, "names that end like this are those of a projection's tables", "Choose another name."});
    }
    const auto names = projection_names(catalog);
    if (std::find(names.begin(), names.end(), request.name) != names.end()) {
        throw RefusedError(
            {doing, "there is a projection of this name",
             "`keyshift projection show " + request.name + "` shows it; drop it first to make it anew."});
    }
    const QualifiedName view{schema, request.name};
    if (catalog::table_exists(node, view) && !is_left_over(node, view)) {
        throw RefusedError(
            {doing, schema + "." + request.name + " is a table or view already", "Choose another name."});
    }
    if (catalog.query("SELECT FROM keyshift.table_group WHERE name = $1", {request.name}).rows() > 0) {
        throw RefusedError({doing, "a table group has this name", "Choose another name."});
    }
    if (request.buckets == 0 || request.buckets > 4096 || (request.buckets & (request.buckets - 1)) != 0) {
        throw RefusedError(
            {doing, fmt::format("{} buckets", request.buckets), "The number of buckets is a power of two up to 4096."});
    }
}

catalog::DistributedRoot new_group(const Definition& definition, std::uint32_t buckets,
                                   const std::vector<catalog::Node>& nodes)
{
    catalog::DistributedRoot root;
    root.group = {definition.group, BucketLayout(buckets), definition.key_types, true};
    for (const BucketId bucket : root.group.buckets.numbers()) {
        root.placement[bucket] = {nodes[number(bucket) * nodes.size() / buckets].name, Epoch{1}};
    }
    for (const catalog::Node& node : nodes) {
        root.addresses[node.name] = node.address;
    }
    return root;
}

/// It is filled and verified from the rows as they are, and kept by events: they must show the same.
void refuse_what_events_hide(const Definition& definition, const CaptureOptions& options)
{
    std::vector<std::string> columns;
    for (const BaseColumn& column : definition.base_columns) {
        columns.push_back(column.name);
    }
    if (const std::string why = catalog::projection_conflict(options, definition.pk, columns); !why.empty()) {
        throw RefusedError({"creating projection " + definition.name + " over " + definition.base.to_string(), why,
                            "Leave the column out of the projection, or take the option away with `keyshift table "
                            "capture " +
                                definition.base.to_string() + "`."});
    }
}

void record_group(pg::Connection& catalog, const CreateRequest& request, const catalog::DistributedRoot& root)
{
    catalog.query("INSERT INTO keyshift.table_group (name, buckets, key_types, kind) VALUES ($1, $2, $3, 'projection')",
                  {request.name, std::to_string(request.buckets), catalog::write_array(root.group.key_types)});
    for (const auto& [bucket, place] : root.placement) {
        const std::string number = std::to_string(keyshift::number(bucket));
        catalog.query("INSERT INTO keyshift.bucket (group_name, bucket, node, epoch) VALUES ($1, $2, $3, 1)",
                      {request.name, number, place.node});
        // A projection of this name may have been dropped before: its history does not bind this one.
        catalog.query(
            "INSERT INTO keyshift.bucket_history (group_name, bucket, epoch, node, open_lsn) VALUES ($1, $2, 1, $3, '0/0') "
            "ON CONFLICT (group_name, bucket, epoch) DO UPDATE SET node = excluded.node, open_lsn = excluded.open_lsn, fence_lsn = NULL",
            {request.name, number, place.node});
    }
}

void record_definition(pg::Connection& catalog, const Definition& definition, const std::string& sql, std::int64_t base)
{
    // Against a `table capture` at the same time, which changes this row and then looks for projections.
    catalog.query("SELECT FROM keyshift.captured_table WHERE id = $1::bigint FOR SHARE", {std::to_string(base)});
    refuse_what_events_hide(definition, base_table(catalog, definition, "creating").options);
    record_tables(catalog, definition);
    catalog.query(
        "INSERT INTO keyshift.projection (name, view_schema, group_name, part_of, sql, definition) VALUES ($1, $2, $3, nullif($4, ''), $5, $6)",
        {definition.name, definition.view_schema, definition.group, definition.part_of, sql,
         to_json(definition).dump()});
}

namespace {

Json plan_of(const Definition& definition, const CreateRequest& request, const std::vector<std::string>& alters)
{
    Json columns = Json::array();
    const auto add = [&](const auto& column) {
        columns.push_back({{"column", column.name}, {"type", column.type}});
    };
    if (definition.aggregation) {
        std::for_each(definition.aggregation->shown.begin(), definition.aggregation->shown.end(), add);
    } else {
        std::for_each(definition.columns.begin(), definition.columns.end(), add);
    }
    return {{"projection", definition.name},
            {"kind", definition.aggregation ? "aggregate" : "rekey"},
            {"view", definition.view().to_string()},
            {"table", definition.table().to_string()},
            {"base", definition.base.to_string()},
            {"key", shown_key(definition)},
            {"buckets", request.buckets},
            {"columns", columns},
            {"alters", alters},
            {"dry_run", request.dry_run}};
}

} // namespace

void refuse_alters(const std::string& doing, const std::vector<std::string>& alters)
{
    std::string text;
    for (const std::string& alter : alters) {
        text += "\n" + alter + ";";
    }
    const bool may_be_null = std::any_of(alters.begin(), alters.end(),
                                         [](const std::string& alter) { return alter.ends_with("SET NOT NULL"); });
    throw RefusedError(
        {doing,
         may_be_null
             ? "its key may be NULL, and a row without a key is on no node"
             : "the WAL does not carry the old key of a changed or deleted row: the replica identity lacks the projection's key",
         (may_be_null
              ? "Say --skip-null to leave out rows that have no key, or --apply to run these statements on every node:"
              : "Say --apply to run these statements on every node:") +
             text});
}

namespace {

void make_on(catalog::OpenNode& node, const Definition& definition, const catalog::DistributedRoot& root)
{
    pg::Connection& connection = *node.connection;
    pg::Transaction transaction(connection);
    make_generation(connection, node.node, definition, root);
    connection.script(view_statement(definition));
    catalog::set_alias(connection, definition.table(), definition.routed_as());
    transaction.commit();
}

} // namespace

Json create(pg::Connection& catalog, const CreateRequest& request)
{
    // Against a node that joins at the same time: it gets what is there, or is among the nodes read here.
    const catalog::CommandLock lock(catalog, "projection create " + request.name);
    if (is_composite(request.sql)) {
        return create_composite(catalog, request);
    }
    const ParsedSelect select = parse_select(request.sql);
    const catalog::CapturedTable base = find_base(catalog, select);
    const std::vector<catalog::Node> sources = nodes_of(catalog, base);
    if (sources.empty()) {
        throw RefusedError({"creating projection " + request.name, "no active node has table " + base.name.to_string(),
                            "`keyshift node list` shows the nodes."});
    }
    pg::Connection first(sources.front().connection("projection create"));
    check_name(catalog, first, request, base.name.schema);
    Definition definition = define(first, request, select, base);
    refuse_what_events_hide(definition, base.options);
    const BucketLayout buckets = base.group.empty() ? BucketLayout(1) : catalog::group(catalog, base.group).buckets;
    std::vector<std::string> other_keys;
    for (const Definition& other : siblings(catalog, definition)) {
        const std::vector<std::string> key = key_sources(other);
        other_keys.insert(other_keys.end(), key.begin(), key.end());
    }
    const std::vector<std::string> alters = needed_alters(first, definition, base, buckets, other_keys);
    if (!alters.empty() && !request.apply && !request.dry_run) {
        refuse_alters("creating projection " + request.name, alters);
    }
    std::vector<catalog::OpenNode> nodes = catalog::open_nodes(catalog, "projection create");
    for (const catalog::OpenNode& node : nodes) {
        catalog::refuse_missing("creating projection " + request.name,
                                catalog::missing_in_schema(*node.connection, definition.view().schema));
    }
    Json plan = plan_of(definition, request, alters);
    add_estimate(plan, estimate(catalog, definition, base, nodes.size()));
    if (request.dry_run) {
        return plan;
    }
    for (const catalog::Node& node : sources) {
        pg::Connection connection(node.connection("projection create"));
        for (const std::string& alter : needed_alters(connection, definition, base, buckets, other_keys)) {
            connection.script(alter);
        }
    }
    std::vector<catalog::Node> owners;
    for (const catalog::OpenNode& node : nodes) {
        if (node.node.state == "active") {
            owners.push_back(node.node);
        }
    }
    const catalog::DistributedRoot root = new_group(definition, request.buckets, owners);
    for (catalog::OpenNode& node : nodes) {
        make_on(node, definition, root);
    }
    pg::Transaction transaction(catalog);
    record_group(catalog, request, root);
    record_definition(catalog, definition, request.sql, base.id);
    catalog::notify(catalog, "projection");
    transaction.commit();
    return plan;
}

} // namespace keyshift::projections
