#include "catalog/operations.hpp"

#include "catalog/capturable.hpp"
#include "catalog/node_access.hpp"
#include "catalog/option_check.hpp"
#include "catalog/option_json.hpp"
#include "catalog/rows.hpp"
#include "core/error.hpp"
#include "core/json.hpp"
#include "core/topic_names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>

namespace keyshift::catalog {

namespace {

struct Wanted {
    QualifiedName name;
    std::size_t node = 0; ///< index into the open nodes; of a distributed table any that has it
    CaptureOptions options;
    std::optional<CapturedTable> known; ///< captured already: only its options change
};

std::vector<OpenNode> open_wanted_nodes(pg::Connection& catalog, const std::optional<std::string>& only)
{
    if (!only) {
        return open_nodes(catalog, "capture");
    }
    std::vector<OpenNode> open;
    Node one = node(catalog, *only);
    auto connection = std::make_unique<pg::Connection>(one.connection("capture"));
    open.push_back({std::move(one), std::move(connection)});
    return open;
}

/// Every table of a node, plain or partitioned, that is not Keyshift's, no partition and no extension's.
std::vector<QualifiedName> ordinary_tables(pg::Connection& node)
{
    const pg::Result rows = node.query(
        "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence = 'p' AND n.nspname NOT IN ('keyshift', 'information_schema') "
        "AND n.nspname NOT LIKE 'pg\\_%' AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') ORDER BY 1, 2");
    std::vector<QualifiedName> names;
    for (int row = 0; row < rows.rows(); ++row) {
        names.push_back({std::string(rows.text(row, 0)), std::string(rows.text(row, 1))});
    }
    return names;
}

Wanted locate(const std::vector<OpenNode>& open, const QualifiedName& name)
{
    std::vector<std::size_t> have;
    std::vector<std::string> names;
    for (std::size_t i = 0; i < open.size(); ++i) {
        if (table_exists(*open[i].connection, name)) {
            have.push_back(i);
            names.push_back(open[i].node.name);
        }
    }
    const std::string what = "capturing " + name.to_string();
    if (have.empty()) {
        throw RefusedError({what, "no node has such a table",
                            "Check the name; a table outside schema public is written schema.table."});
    }
    if (have.size() > 1) {
        throw RefusedError({what, "several nodes have a table of that name: " + join(names), "Say which with --node."});
    }
    return {name, have.front(), {}, std::nullopt};
}

/// The topics of all tables that are captured, whatever their node.
TopicNames topics_in_use(pg::Connection& catalog, const std::vector<CapturedTable>& captured)
{
    TopicNames topics(meta(catalog, "topic_prefix"));
    for (const CapturedTable& table : captured) {
        if (table.captured) {
            topics.claim(table.name);
        }
    }
    return topics;
}

void check_topic(TopicNames& topics, const OpenNode& open, const QualifiedName& name)
{
    if (const auto objection = topics.claim(name)) {
        throw RefusedError(
            {fmt::format("capturing {} on {}", name.quoted(), open.node.name), objection->why, objection->next});
    }
}

std::string capturing(const QualifiedName& name)
{
    return "capturing " + name.to_string();
}

/// Node first, then the catalog: a run between the two is repaired by the next, which finds the table published.
void capture_one(pg::Connection& catalog, const OpenNode& open, const Wanted& wanted, bool dry_run)
{
    const auto write = [&](pg::Connection& connection) {
        connection.query(
            "WITH t AS (INSERT INTO keyshift.captured_table (schema_name, table_name, node, options) VALUES ($1, $2, $3, $4) RETURNING id) "
            "INSERT INTO keyshift.snapshot (table_id, node, bucket) SELECT id, $3, 0 FROM t",
            {wanted.name.schema, wanted.name.name, open.node.name, to_json(wanted.options).dump()});
        notify(connection, "table");
    };
    const bool together = database_identity(catalog) == database_identity(*open.connection);
    {
        pg::Transaction transaction(*open.connection);
        open.connection->script("SET LOCAL lock_timeout = '5s'");
        publish_rows(capturing(wanted.name), *open.connection, open.node.slot, wanted.name, wanted.options.where);
        if (dry_run) {
            return;
        }
        if (together) {
            write(*open.connection);
        }
        transaction.commit();
    }
    if (!together) {
        pg::Transaction transaction(catalog);
        write(catalog);
        transaction.commit();
    }
}

/// The catalog's part is committed before the node's: a projection that reads the table is seen before anything is changed.
/// A run between the two is repaired by the next of the same words.
void change_options(pg::Connection& catalog, const OpenNode& open, const Wanted& wanted, bool dry_run)
{
    const std::string what = capturing(wanted.name);
    pg::Transaction on_node(*open.connection);
    open.connection->script("SET LOCAL lock_timeout = '5s'");
    if (wanted.known->group.empty()) {
        publish_rows(what, *open.connection, open.node.slot, wanted.name, wanted.options.where);
    }
    pg::Transaction transaction(catalog);
    catalog.query("UPDATE keyshift.captured_table SET options = $2 WHERE id = $1::bigint",
                  {std::to_string(wanted.known->id), to_json(wanted.options).dump()});
    refuse_for_projections(what, catalog, read_option_table(*open.connection, wanted.name), wanted.options);
    if (dry_run) {
        return;
    }
    notify(catalog, "table");
    transaction.commit();
    on_node.commit();
}

void refuse_filter(pg::Connection& catalog, const std::string& what, const CapturedTable& known,
                   const CaptureOptions& options)
{
    if (options.where == known.options.where) {
        return;
    }
    if (!known.group.empty()) {
        throw RefusedError(
            {what,
             "--where: the table is distributed, and a move of its buckets reads every row from the same "
             "stream",
             "Filter where the events are read."});
    }
    const nlohmann::json reading = snapshot_progress(catalog, known.id);
    if (reading["done"] != reading["total"]) {
        throw RefusedError(
            {what, "--where: the table's rows are being read into the topic",
             fmt::format("Wait until they are there (`keyshift table show {}`).", known.name.to_string())});
    }
}

/// What the options of `name` become, checked on every node that has the table.
CaptureOptions wanted_options(const std::vector<OpenNode>& open, const Wanted& wanted, const OptionChanges& changes)
{
    const std::string what = capturing(wanted.name);
    const CaptureOptions before = wanted.known ? wanted.known->options : CaptureOptions{};
    const std::vector<std::string> former = changes.former(before);
    CaptureOptions options = changed(what, before, changes);
    const bool distributed = wanted.known && !wanted.known->group.empty();
    std::set<std::string> columns(former.begin(), former.end());
    for (std::size_t i = 0; i < open.size(); ++i) {
        if (i != wanted.node && (!distributed || !table_exists(*open[i].connection, wanted.name))) {
            continue;
        }
        const OptionTable table = read_option_table(*open[i].connection, wanted.name);
        check_options(fmt::format("{} on {}", what, open[i].node.name), table, former, options);
        std::ranges::transform(table.columns, std::inserter(columns, columns.end()), &OptionTable::Column::name);
    }
    options.columns.clear();
    if (options != CaptureOptions{}) {
        options.columns.assign(columns.begin(), columns.end());
    }
    return options;
}

/// Finds what the command is about; `notes` gets what needs nothing done.
class Plan {
public:
    Plan(pg::Connection& catalog, const std::vector<OpenNode>& open, const OptionChanges& changes)
        : catalog_(catalog), open_(open), changes_(changes), tables_(tables(catalog)),
          topics_(topics_in_use(catalog, tables_))
    {
    }

    void add(const QualifiedName& name)
    {
        const std::optional<CapturedTable> shared = distributed(name);
        const std::optional<std::size_t> home = home_of_reference(name);
        Wanted one = home ? Wanted{name, *home, {}, std::nullopt} : locate_any(name, shared.has_value());
        one.known = shared ? shared : known(name, one.node);
        if (one.known && !changes_.any()) {
            notes.push_back(one.known->group.empty()
                                ? fmt::format("{} on {} is captured already", name.to_string(), one.known->node)
                                : name.to_string() + " is distributed, and so captured already");
            return;
        }
        if (!one.known) {
            check_capturable(open_[one.node], name);
            check_topic(topics_, open_[one.node], name);
        }
        one.options = wanted_options(open_, one, changes_);
        if (one.known) {
            refuse_filter(catalog_, capturing(name), *one.known, one.options);
        }
        wanted.push_back(std::move(one));
    }

    void add_all()
    {
        for (std::size_t i = 0; i < open_.size(); ++i) {
            for (const QualifiedName& name : ordinary_tables(*open_[i].connection)) {
                if (known(name, i) || distributed(name) || reference(name)) {
                    continue;
                }
                try {
                    check_capturable(open_[i], name);
                    check_topic(topics_, open_[i], name);
                    wanted.push_back({name, i, {}, std::nullopt});
                } catch (const RefusedError& error) {
                    notes.push_back(std::string("left out: ") + error.what()); // --all takes what can be captured
                }
            }
        }
    }

    std::vector<Wanted> wanted;
    nlohmann::json notes = nlohmann::json::array();

private:
    Wanted locate_any(const QualifiedName& name, bool distributed) const
    {
        for (std::size_t i = 0; distributed && i < open_.size(); ++i) {
            if (table_exists(*open_[i].connection, name)) {
                return {name, i, {}, std::nullopt};
            }
        }
        return locate(open_, name);
    }

    std::optional<CapturedTable> distributed(const QualifiedName& name) const
    {
        for (const CapturedTable& table : tables_) {
            if (table.name == name && !table.group.empty()) {
                return table;
            }
        }
        return std::nullopt;
    }

    const CapturedTable* reference(const QualifiedName& name) const
    {
        const auto found = std::ranges::find_if(
            tables_, [&](const CapturedTable& table) { return table.name == name && table.reference; });
        return found == tables_.end() ? nullptr : &*found;
    }

    /// nullopt: it is no reference table.
    std::optional<std::size_t> home_of_reference(const QualifiedName& name) const
    {
        const CapturedTable* table = reference(name);
        if (table == nullptr) {
            return std::nullopt;
        }
        const auto home =
            std::ranges::find_if(open_, [&](const OpenNode& open) { return open.node.name == table->node; });
        if (home == open_.end()) {
            throw RefusedError({capturing(name),
                                "what is there is the copy of a reference table, which is captured on " + table->node,
                                "Leave --node away."});
        }
        return static_cast<std::size_t>(home - open_.begin());
    }

    std::optional<CapturedTable> known(const QualifiedName& name, std::size_t node) const
    {
        for (const CapturedTable& table : tables_) {
            if (table.name == name && table.node == open_[node].node.name) {
                return table;
            }
        }
        return std::nullopt;
    }

    pg::Connection& catalog_;
    const std::vector<OpenNode>& open_;
    const OptionChanges& changes_;
    const std::vector<CapturedTable> tables_;
    TopicNames topics_;
};

} // namespace

nlohmann::json capture(pg::Connection& catalog, const std::vector<std::string>& names, bool all,
                       const std::optional<std::string>& node_name, bool dry_run, const OptionChanges& changes)
{
    check_version(catalog);
    const CommandLock lock(catalog, "table capture");
    const std::vector<OpenNode> open = open_wanted_nodes(catalog, node_name);
    if (open.empty()) {
        throw RefusedError({"table capture", "the cluster has no node", "Begin with `keyshift node add`."});
    }
    if (names.empty() && !all) {
        throw RefusedError({"table capture", "no table was named", "Name tables, or use --all."});
    }
    Plan plan(catalog, open, changes);
    for (const std::string& text : names) {
        plan.add(QualifiedName::parse(text));
    }
    if (all) {
        plan.add_all();
    }
    nlohmann::json captured = nlohmann::json::array();
    nlohmann::json altered = nlohmann::json::array();
    for (const Wanted& one : plan.wanted) {
        nlohmann::json shown = {{"table", one.name.to_string()}};
        if (one.known) {
            change_options(catalog, open[one.node], one, dry_run);
            shown["options"] = to_json(one.options);
            altered.push_back(shown);
        } else {
            capture_one(catalog, open[one.node], one, dry_run);
            shown["node"] = open[one.node].node.name;
            captured.push_back(shown);
        }
    }
    return {{"captured", captured}, {"options", altered}, {"notes", plan.notes}, {"dry_run", dry_run}};
}

} // namespace keyshift::catalog
