#include "catalog/operations/distribution_work.hpp"

#include "catalog/capturable.hpp"
#include "catalog/rights.hpp"
#include "catalog/rows.hpp"
#include "core/error.hpp"
#include "core/topic_names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace keyshift::catalog {

std::string distributing(const Distribute& request)
{
    return "distributing " + QualifiedName::parse(request.table).to_string();
}

namespace {

constexpr std::uint32_t kMostBuckets = 4096;

void check_request(const Distribute& request)
{
    if (request.key.empty()) {
        throw RefusedError({distributing(request), "no shard key was given", "Add --key COLUMN."});
    }
    if (request.buckets == 0 || request.buckets > kMostBuckets || (request.buckets & (request.buckets - 1)) != 0) {
        throw RefusedError(
            {distributing(request),
             fmt::format(
                 "{} buckets: the number must be a power of two from 1 to {}, so that buckets can be split in halves",
                 request.buckets, kMostBuckets),
             "Use --buckets 64."});
    }
}

std::optional<CapturedTable> find_table(pg::Connection& catalog, const QualifiedName& name)
{
    for (CapturedTable& table : tables(catalog)) {
        if (table.name == name) {
            return table;
        }
    }
    return std::nullopt;
}

Plan plan_of_catalog(pg::Connection& catalog)
{
    std::map<std::string, Group> by_name;
    for (Group& one : groups(catalog)) {
        by_name[one.name] = one;
    }
    Plan plan;
    for (const CapturedTable& table : tables(catalog)) {
        if (!table.group.empty()) {
            plan[table.name] = {table.key_columns, by_name.at(table.group).key_types, table.group};
        } else if (table.reference) {
            plan[table.name].reference = true;
        }
    }
    return plan;
}

std::vector<std::string> types_of(const TableDefinition& table, const std::vector<std::string>& key)
{
    std::vector<std::string> types;
    for (const std::string& name : key) {
        const ColumnDefinition* column = table.column(name);
        if (column == nullptr) {
            std::vector<std::string> names;
            for (const ColumnDefinition& one : table.columns) {
                names.push_back(one.name);
            }
            throw RefusedError({"distributing " + table.name.to_string(), fmt::format("it has no column {}", name),
                                "Its columns: " + join(names) + "."});
        }
        types.push_back(column->element_type);
    }
    return types;
}

/// The one node that has the table; where several have it, the one with rows in it.
std::size_t find_holder(const std::vector<OpenNode>& nodes, const QualifiedName& table)
{
    const std::string what = "distributing " + table.to_string();
    std::vector<std::size_t> have;
    std::vector<std::size_t> filled;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        if (table_exists(*nodes[i].connection, table) && !is_registered_root(*nodes[i].connection, table)) {
            have.push_back(i);
            refuse_missing(what, missing_to_publish(*nodes[i].connection, table)); // its rows are looked at
            if (has_rows(*nodes[i].connection, table)) {
                filled.push_back(i);
            }
        }
    }
    if (nodes.empty()) {
        throw RefusedError({what, "the cluster has no node", "Begin with `keyshift node add`."});
    }
    if (have.empty()) {
        throw RefusedError({what, "no node has such a table",
                            "Check the name; a table outside schema public is written schema.table."});
    }
    if (filled.size() > 1) {
        throw RefusedError(
            {what,
             fmt::format("{} and {} both hold rows of it", nodes[filled[0]].node.name, nodes[filled[1]].node.name),
             "Bring the rows together on one node first."});
    }
    return filled.empty() ? have.front() : filled.front();
}

/// Registered as a root on its holder while the catalog does not know it: an earlier run died between the two commits.
/// While a plain table is left anywhere, nothing is converted: the holder's conversion is one transaction.
std::optional<std::size_t> find_converted(const std::vector<OpenNode>& nodes, const QualifiedName& table)
{
    std::optional<std::size_t> converted;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        pg::Connection& node = *nodes[i].connection;
        if (!table_exists(node, table)) {
            continue;
        }
        if (!is_registered_root(node, table)) {
            return std::nullopt;
        }
        const pg::Result rows =
            node.query("SELECT EXISTS (SELECT FROM keyshift.local_table t JOIN keyshift.local_bucket b "
                       "ON b.group_name = t.group_name AND b.state = 'open' WHERE t.root = $1::regclass)",
                       {table.quoted()});
        if (rows.boolean(0, 0) && (!converted || has_rows(node, table))) {
            converted = i;
        }
    }
    return converted;
}

/// The interrupted run decided key and group; this one may only finish it.
void check_same_as_before(const Distribute& request, DistributionWork& work)
{
    const pg::Result rows = work.nodes[work.holder].connection->query(
        "SELECT key_columns, group_name, buckets FROM keyshift.local_table WHERE root = $1::regclass",
        {work.root.definition.name.quoted()});
    const bool same = read_array(rows.text(0, 0)) == request.key && rows.text(0, 1) == work.root.group.name &&
                      rows.integer(0, 2) == work.root.group.buckets.first_modulus();
    if (!same) {
        throw RefusedError({distributing(request),
                            fmt::format("an interrupted run has distributed it on {} by ({}) in group {} of {} buckets",
                                        work.nodes[work.holder].node.name, join(read_array(rows.text(0, 0))),
                                        rows.text(0, 1), rows.integer(0, 2)),
                            "Repeat the command with these, which finishes that run."});
    }
}

void check_topic(pg::Connection& catalog, const Distribute& request, const QualifiedName& name)
{
    TopicNames topics(meta(catalog, "topic_prefix"));
    for (const CapturedTable& table : tables(catalog)) {
        if (table.captured) {
            topics.claim(table.name);
        }
    }
    if (const auto objection = topics.claim(name)) {
        throw RefusedError({distributing(request), objection->why, objection->next});
    }
}

void check_no_moves(pg::Connection& catalog, const Distribute& request, const std::string& group_name)
{
    const pg::Result rows = catalog.query(
        "SELECT count(*) FROM keyshift.move WHERE group_name = $1 AND state NOT IN ('done', 'aborted')", {group_name});
    if (rows.integer(0, 0) > 0) {
        throw RefusedError(
            {distributing(request),
             fmt::format("{} unfinished moves of group {} would pass it by", rows.integer(0, 0), group_name),
             "Wait until `keyshift reshard status` says done."});
    }
}

/// "users", "sales.users"; where a name with a dot has taken that, the quoted one.
std::string free_group_name(pg::Connection& catalog, const QualifiedName& table)
{
    const std::string plain = table.schema == "public" ? table.name : table.to_string();
    const std::vector<Group> all = groups(catalog);
    const bool taken = std::any_of(all.begin(), all.end(), [&](const Group& one) { return one.name == plain; });
    return taken ? table.quoted() : plain;
}

/// Above all that events of the table, or of an earlier group of that name, can carry.
Epoch first_epoch(pg::Connection& catalog, const DistributionWork& work)
{
    const std::int64_t before =
        catalog
            .query("SELECT coalesce(max(epoch), 0) FROM keyshift.bucket_history WHERE group_name = $1",
                   {work.root.group.name})
            .integer(0, 0);
    const std::uint64_t plain = work.captured_before ? number(work.captured_before->epoch) : 1;
    return Epoch{std::max(static_cast<std::uint64_t>(before) + 1, plain > 1 ? plain + 1 : 1)};
}

void choose_group(pg::Connection& catalog, const Distribute& request, DistributionWork& work)
{
    DistributedRoot& root = work.root;
    const QualifiedName& name = root.definition.name;
    const std::vector<std::string> types = types_of(root.definition, request.key);
    root.key = request.key;
    if (request.with.empty()) {
        work.new_group = true;
        root.group = {free_group_name(catalog, name), BucketLayout(request.buckets), types, false};
        const Placement place{work.nodes[work.holder].node.name, first_epoch(catalog, work)};
        for (const BucketId bucket : root.group.buckets.numbers()) {
            root.placement[bucket] = place;
        }
        return;
    }
    const QualifiedName with = QualifiedName::parse(request.with);
    const std::optional<CapturedTable> other = find_table(catalog, with);
    if (!other || other->group.empty()) {
        throw RefusedError({distributing(request), fmt::format("{} is not a distributed table", with.to_string()),
                            "Distribute that one first, or leave --with out."});
    }
    root.group = group(catalog, other->group);
    if (root.group.key_types != types) {
        throw RefusedError(
            {distributing(request),
             fmt::format("its key ({}) has type ({}), that of {} ({}): equal keys would fall into different buckets",
                         join(request.key), join(types), with.to_string(), join(root.group.key_types)),
             fmt::format("Bring the column to the same type: ALTER TABLE {} ALTER COLUMN {} TYPE {};", name.quoted(),
                         quote_identifier(request.key.front()), root.group.key_types.front())});
    }
    root.placement = placement(catalog, root.group.name);
    if (work.captured_before && std::any_of(root.placement.begin(), root.placement.end(), [&](const auto& one) {
            return number(one.second.epoch) < number(work.captured_before->epoch);
        })) {
        throw RefusedError(
            {distributing(request),
             fmt::format("its events have epoch {} since it was brought together, and buckets of {} have a "
                         "lower one: newer events would look older",
                         number(work.captured_before->epoch), root.group.name),
             "Distribute it in a group of its own."});
    }
    const Node& holder = work.nodes[work.holder].node;
    const bool elsewhere = std::any_of(root.placement.begin(), root.placement.end(),
                                       [&](const auto& one) { return one.second.node != holder.name; });
    if (elsewhere && !work.converted && has_rows(*work.nodes[work.holder].connection, name)) {
        throw RefusedError(
            {distributing(request),
             fmt::format("buckets of {} are on other nodes already, and this table has rows on {}", root.group.name,
                         holder.name),
             fmt::format("Move those buckets back with `keyshift reshard start --to {}`, then repeat.", holder.name)});
    }
}

void check_rights(const Distribute& request, const DistributionWork& work)
{
    std::vector<Finding> missing =
        missing_to_distribute(*work.nodes[work.holder].connection, work.root.definition.name);
    for (std::size_t i = 0; i < work.nodes.size(); ++i) {
        pg::Connection& node = *work.nodes[i].connection;
        std::vector<Finding> more = missing_on_node(node, work.nodes[i].node.slot);
        if (i != work.holder) {
            refuse_missing(distributing(request), missing_to_publish(node, work.root.definition.name));
            const std::vector<Finding> to_make = missing_to_make(node, work.root.definition);
            more.insert(more.end(), to_make.begin(), to_make.end());
        }
        missing.insert(missing.end(), more.begin(), more.end());
    }
    refuse_missing(distributing(request), missing);
}

void check_findings(pg::Connection& catalog, const Distribute& request, DistributionWork& work)
{
    const QualifiedName& name = work.root.definition.name;
    Plan plan = plan_of_catalog(catalog);
    plan[name] = {work.root.key, work.root.group.key_types, work.root.group.name};
    TableFacts facts = read_facts(*work.nodes[work.holder].connection, name, work.root.key);
    for (const OpenNode& one : work.nodes) {
        facts.newest_server = std::max(facts.newest_server, one.connection->server_version());
    }
    const std::vector<Finding> findings = check_table(facts, plan, true);
    std::vector<Finding> errors;
    for (const Finding& finding : findings) {
        (finding.severity == "error" && finding.check != "key_column_nullable" ? errors : work.warnings)
            .push_back(finding);
    }
    if (!errors.empty()) {
        std::vector<std::string> reasons;
        std::vector<std::string> fixes;
        for (const Finding& finding : errors) {
            reasons.push_back(fmt::format("{} ({}): {}", finding.check, finding.object, finding.why));
            if (!finding.fix.empty()) {
                fixes.push_back(finding.fix);
            }
        }
        throw RefusedError({distributing(request), join(reasons, "; "),
                            fixes.empty() ? "Repeat the command once that is different, or with another key."
                                          : "Run, if that is what you want: " + join(fixes, "\n")});
    }
}

} // namespace

DistributionWork prepare_distribution(pg::Connection& catalog, const Distribute& request)
{
    check_version(catalog);
    check_request(request);
    const QualifiedName name = QualifiedName::parse(request.table);
    refuse_system_table(distributing(request), name);
    DistributionWork work;
    work.captured_before = find_table(catalog, name);
    if (work.captured_before && !work.captured_before->group.empty()) {
        throw RefusedError({distributing(request),
                            fmt::format("it is distributed already, by ({}) in bucket group {}",
                                        join(work.captured_before->key_columns), work.captured_before->group),
                            fmt::format("`keyshift table show {}` says more.", name.to_string())});
    }
    if (work.captured_before && work.captured_before->reference) {
        throw RefusedError({distributing(request), "it is a reference table: every node has all of its rows",
                            fmt::format("`keyshift table show {}` says more.", name.to_string())});
    }
    check_topic(catalog, request, name);
    work.nodes = open_nodes(catalog, "distribute");
    const std::optional<std::size_t> converted = find_converted(work.nodes, name);
    work.converted = converted.has_value();
    work.holder = converted ? *converted : find_holder(work.nodes, name);
    work.root.definition = read_table(*work.nodes[work.holder].connection, name);
    work.root.strict = request.strict;
    for (const OpenNode& open : work.nodes) {
        work.root.addresses[open.node.name] = open.node.address;
    }
    choose_group(catalog, request, work);
    check_no_moves(catalog, request, work.root.group.name);
    check_rights(request, work);
    if (work.converted) {
        check_same_as_before(request, work);
    } else {
        check_findings(catalog, request, work);
        for (std::size_t i = 0; i < work.nodes.size(); ++i) {
            if (i != work.holder && table_exists(*work.nodes[i].connection, name) &&
                has_rows(*work.nodes[i].connection, name)) {
                throw RefusedError({distributing(request),
                                    fmt::format("{} holds rows of it too", work.nodes[i].node.name),
                                    "Bring the rows together on one node first."});
            }
        }
    }
    return work;
}

} // namespace keyshift::catalog
