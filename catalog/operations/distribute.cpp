#include "catalog/online/fill.hpp"
#include "catalog/online/swap.hpp"
#include "catalog/operations/distribution_work.hpp"
#include "catalog/replaced_table.hpp"
#include "catalog/rows.hpp"
#include "catalog/schema_copy.hpp"
#include "catalog/sequence_ranges.hpp"
#include "catalog/split/split_record.hpp"
#include "catalog/strict.hpp"
#include "core/error.hpp"
#include "core/failpoint.hpp"
#include "core/json.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keyshift::catalog {

namespace {

/// Catalog rows of the table and, for a new group, of its buckets; the snapshot of the rows that are there.
void write_catalog(pg::Connection& catalog, const DistributionWork& work)
{
    const DistributedRoot& root = work.root;
    const QualifiedName& name = root.definition.name;
    if (work.new_group) {
        const std::string& holder = work.nodes[work.holder].node.name;
        const std::string buckets = std::to_string(root.group.buckets.first_modulus());
        const std::string epoch = std::to_string(number(root.placement.begin()->second.epoch));
        catalog.query("INSERT INTO keyshift.table_group (name, buckets, key_types) VALUES ($1, $2::int, $3::text[])",
                      {root.group.name, buckets, write_array(root.group.key_types)});
        catalog.query(
            "INSERT INTO keyshift.bucket (group_name, bucket, node, epoch) SELECT $1, b, $3, $4::bigint FROM pg_catalog.generate_series(0, $2::int - 1) b",
            {root.group.name, buckets, holder, epoch});
        catalog.query(
            "INSERT INTO keyshift.bucket_history (group_name, bucket, epoch, node, open_lsn) SELECT $1, b, $4::bigint, $3, '0/0' FROM pg_catalog.generate_series(0, $2::int - 1) b",
            {root.group.name, buckets, holder, epoch});
    }
    const std::string key = write_array(root.key);
    const std::string strict = root.strict ? "true" : "false";
    bool snapshot = true;
    if (work.captured_before) {
        const std::string id = std::to_string(work.captured_before->id);
        snapshot =
            catalog
                .query("SELECT EXISTS (SELECT FROM keyshift.snapshot WHERE table_id = $1::bigint AND state <> 'done')",
                       {id})
                .boolean(0, 0);
        catalog.query(
            "UPDATE keyshift.captured_table SET group_name = $2, node = NULL, key_columns = $3::text[], strict = $4::boolean WHERE id = $1::bigint",
            {id, root.group.name, key, strict});
        catalog.query("DELETE FROM keyshift.snapshot WHERE table_id = $1::bigint", {id});
    } else {
        catalog.query(
            "INSERT INTO keyshift.captured_table (schema_name, table_name, group_name, key_columns, strict) VALUES ($1, $2, $3, $4::text[], $5::boolean)",
            {name.schema, name.name, root.group.name, key, strict});
    }
    if (snapshot) {
        catalog.query(
            "INSERT INTO keyshift.snapshot (table_id, node, bucket) SELECT t.id, b.node, b.bucket FROM keyshift.captured_table t "
            "JOIN keyshift.bucket b ON b.group_name = t.group_name WHERE t.schema_name = $1 AND t.table_name = $2",
            {name.schema, name.name});
    }
    notify(catalog, "table");
}

void append(std::vector<std::string>& all, const std::vector<std::string>& more)
{
    std::copy_if(more.begin(), more.end(), std::back_inserter(all),
                 [](const std::string& one) { return !one.empty(); });
}

std::vector<std::string> make_other_roots(pg::Connection& catalog, DistributionWork& work)
{
    std::vector<std::string> warnings;
    pg::Connection& holder = *work.nodes[work.holder].connection;
    const std::vector<SequenceRange> ranges =
        plan_ranges(catalog, holder, work.nodes[work.holder].node, work.root.definition.name, warnings);
    for (std::size_t i = 0; i < work.nodes.size(); ++i) {
        if (i == work.holder) {
            continue;
        }
        doing(fmt::format("making {} on {}", work.root.definition.name.to_string(), work.nodes[i].node.name), [&] {
            pg::Transaction transaction(*work.nodes[i].connection);
            append(warnings, copy_prerequisites(holder, *work.nodes[i].connection));
            append(warnings, make_empty_root(*work.nodes[i].connection, work.nodes[i].node, work.root));
            adopt_sequences(holder, *work.nodes[i].connection, work.root.definition.name);
            append(warnings,
                   set_ranges(*work.nodes[i].connection, node_number(catalog, work.nodes[i].node.name), ranges));
            transaction.commit();
        });
    }
    failpoint("distribute.others.persisted");
    return warnings;
}

/// Where the catalog is in the same database, the conversion and the catalog's rows are one transaction.
bool is_together(pg::Connection& catalog, const DistributionWork& work)
{
    return database_identity(catalog) == database_identity(*work.nodes[work.holder].connection);
}

void convert_offline(pg::Connection& catalog, DistributionWork& work, std::vector<std::string>& warnings)
{
    append(warnings, make_other_roots(catalog, work));
    pg::Connection& holder = *work.nodes[work.holder].connection;
    pg::Transaction transaction(holder);
    append(warnings, convert_table(holder, work.nodes[work.holder].node, work.root));
    append(warnings, set_ranges(holder, node_number(catalog, work.nodes[work.holder].node.name), read_ranges(catalog)));
    if (is_together(catalog, work)) {
        write_catalog(holder, work);
    }
    transaction.commit();
}

void swap(pg::Connection& catalog, DistributionWork& work, const Twin& twin, const OnlineWork& online,
          std::vector<std::string>& warnings)
{
    pg::Connection& holder = *work.nodes[work.holder].connection;
    const Node& node = work.nodes[work.holder].node;
    DistributedRoot at_twin = work.root;
    at_twin.definition.name = twin.name;
    const auto join = [&] {
        join_group(holder, node, at_twin);
    };
    const std::vector<SequenceRange> ranges = read_ranges(catalog);
    const std::int64_t number = node_number(catalog, node.name);
    const auto record = [&] {
        set_ranges(holder, number, ranges);
        if (work.root.strict) {
            append(warnings, {make_strict(holder, work.root.definition.name, work.root.group.name)});
        }
        if (is_together(catalog, work)) {
            write_catalog(holder, work);
        }
    };
    append(warnings, swap_twin(holder, node.slot, twin, join, record, online));
}

/// The table is used meanwhile; whatever fails before the swap leaves it as it was.
void convert_online(pg::Connection& catalog, DistributionWork& work, const OnlineWork& online,
                    std::vector<std::string>& warnings)
{
    pg::Connection& holder = *work.nodes[work.holder].connection;
    const QualifiedName& name = work.root.definition.name;
    drop_twin(holder, name); // of a command that was killed
    const Twin twin = make_twin(holder, work.root, online);
    try {
        fill_twin(holder, twin, online);
        compare_twin(holder, twin, online);
        wait_for_snapshots(holder, twin, online);
        prepare_references(holder, twin, online);
        append(warnings, make_other_roots(catalog, work));
        swap(catalog, work, twin, online, warnings);
    } catch (const Error&) {
        drop_twin(holder, name);
        throw;
    }
}

/// The others first: a failure there leaves the original untouched, and a second run finds their roots and goes on.
std::vector<std::string> carry_out(pg::Connection& catalog, DistributionWork& work, bool offline,
                                   const OnlineWork& online)
{
    std::vector<std::string> warnings;
    if (work.converted) {
        append(warnings, make_other_roots(catalog, work));
        if (work.root.strict) {
            pg::Connection& holder = *work.nodes[work.holder].connection;
            pg::Transaction transaction(holder);
            append(warnings, {make_strict(holder, work.root.definition.name, work.root.group.name)});
            transaction.commit();
        }
    } else if (offline) {
        convert_offline(catalog, work, warnings);
    } else {
        convert_online(catalog, work, online, warnings);
    }
    failpoint("distribute.holder.persisted");
    if (work.converted || !is_together(catalog, work)) {
        pg::Transaction transaction(catalog);
        write_catalog(catalog, work);
        transaction.commit();
    }
    return warnings;
}

} // namespace

nlohmann::json distribute(pg::Connection& catalog, const Distribute& request, const OnlineWork& online)
{
    const CommandLock lock(catalog, distributing(request));
    check_version(catalog);
    refuse_unfinished_split(catalog, distributing(request));
    DistributionWork work = prepare_distribution(catalog, request);
    if (work.captured_before && !work.captured_before->options.where.empty()) {
        throw RefusedError(
            {distributing(request),
             "`table capture` has given it a row filter, and a move of its buckets needs every row in the "
             "stream",
             fmt::format("keyshift table capture {} --where ''", request.table)});
    }
    if (!request.offline && !work.converted) {
        check_replaceable(*work.nodes[work.holder].connection, work.root.definition);
    }
    std::vector<std::string> warnings;
    for (const Finding& finding : work.warnings) {
        if (finding.check != "key_column_nullable") {
            warnings.push_back(fmt::format("{}: {}", finding.object, finding.why));
        }
    }
    if (!request.dry_run) {
        append(warnings, carry_out(catalog, work, request.offline, online));
    }
    return {{"table", work.root.definition.name.to_string()},
            {"group", work.root.group.name},
            {"buckets", work.root.group.buckets.count()},
            {"key", work.root.key},
            {"node", work.nodes[work.holder].node.name},
            {"strict", request.strict},
            {"dry_run", request.dry_run},
            {"warnings", warnings}};
}

} // namespace keyshift::catalog
