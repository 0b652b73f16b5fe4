#include "catalog/finding.hpp"

#include "catalog/replaced_table.hpp"
#include "catalog/rows.hpp"
#include "core/json.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keyshift::catalog {

namespace {

bool contains_all(const std::vector<std::string>& columns, const std::vector<std::string>& key)
{
    return std::all_of(key.begin(), key.end(), [&](const std::string& name) {
        return std::find(columns.begin(), columns.end(), name) != columns.end();
    });
}

/// The key's columns first, then those of `columns` that are not in it.
std::vector<std::string> with_key_first(const std::vector<std::string>& key, const std::vector<std::string>& columns)
{
    std::vector<std::string> all = key;
    for (const std::string& name : columns) {
        if (std::find(key.begin(), key.end(), name) == key.end()) {
            all.push_back(name);
        }
    }
    return all;
}

std::string drop_constraint(const QualifiedName& table, const std::string& name)
{
    return fmt::format("ALTER TABLE {} DROP CONSTRAINT {};", table.quoted(), quote_identifier(name));
}

/// True when both ends of the foreign key have their shard key at the same places, so that the rows share a bucket.
bool keeps_to_one_bucket(const ConstraintDefinition& key, const PlannedTable& from, const PlannedTable& to)
{
    if (from.key.size() != to.key.size() || from.key_types != to.key_types ||
        (!from.group.empty() && !to.group.empty() && from.group != to.group)) {
        return false;
    }
    for (std::size_t i = 0; i < from.key.size(); ++i) {
        const auto at = std::find(key.columns.begin(), key.columns.end(), from.key[i]);
        if (at == key.columns.end() ||
            key.referenced_columns.at(static_cast<std::size_t>(at - key.columns.begin())) != to.key[i]) {
            return false;
        }
    }
    return true;
}

Finding crossing(const QualifiedName& table, const ConstraintDefinition& key, const PlannedTable& from,
                 const PlannedTable& to)
{
    return {
        "foreign_key_crosses_shards", table.to_string(), "error",
        fmt::format(
            "foreign key {} ({}) points at {} ({}), but {} is sharded by ({}) and {} by ({}): the two rows may be on different nodes, "
            "where no foreign key can look. Without it the application keeps the reference whole, or a projection checks it",
            key.name, join(key.columns), key.referenced.to_string(), join(key.referenced_columns), table.to_string(),
            join(from.key), key.referenced.to_string(), join(to.key)),
        drop_constraint(table, key.name)};
}

void check_outgoing(const TableFacts& facts, const Plan& plan, std::vector<Finding>& findings)
{
    const QualifiedName& name = facts.definition.name;
    const PlannedTable& self = plan.at(name);
    for (const ConstraintDefinition& key : facts.definition.constraints) {
        if (key.kind != 'f') {
            continue;
        }
        const auto other = plan.find(key.referenced);
        if (other == plan.end()) {
            findings.push_back(
                {"foreign_key_direction", name.to_string(), "error",
                 fmt::format(
                     "foreign key {} points at {}, which is not distributed and so is on one node only. As a "
                     "reference table every node has it: `keyshift table reference {}`, or drop the foreign key: {}",
                     key.name, key.referenced.to_string(), key.referenced.to_string(), drop_constraint(name, key.name)),
                 fmt::format("-- keyshift table reference {}", key.referenced.to_string())});
        } else if (other->second.reference) {
            continue;
        } else if (!keeps_to_one_bucket(key, self, other->second)) {
            findings.push_back(crossing(name, key, self, other->second));
        }
    }
}

void check_incoming(const TableFacts& facts, const Plan& plan, bool may_wait, std::vector<Finding>& findings)
{
    const QualifiedName& name = facts.definition.name;
    const PlannedTable& self = plan.at(name);
    for (const IncomingForeignKey& incoming : facts.incoming) {
        const auto other = plan.find(incoming.table);
        if (other != plan.end() && other->second.reference) {
            findings.push_back(
                {"foreign_key_direction", incoming.table.to_string(), "error",
                 fmt::format(
                     "foreign key {} of the reference table points at {}, whose rows are to be on several nodes: "
                     "no node could check it",
                     incoming.constraint.name, name.to_string()),
                 drop_constraint(incoming.table, incoming.constraint.name)});
            continue;
        }
        if (other != plan.end()) {
            if (!keeps_to_one_bucket(incoming.constraint, other->second, self)) {
                findings.push_back(crossing(incoming.table, incoming.constraint, other->second, self));
            }
            continue;
        }
        const bool could_share = contains_all(incoming.constraint.referenced_columns, self.key);
        findings.push_back(
            {"foreign_key_direction", incoming.table.to_string(), could_share && may_wait ? "warning" : "error",
             could_share
                 ? fmt::format(
                       "foreign key {} points at {} from a table that is not distributed: it holds only while every bucket of {} "
                       "is on that table's node. Distribute {} --with {} before any bucket moves, or drop it",
                       incoming.constraint.name, name.to_string(), name.to_string(), incoming.table.to_string(),
                       name.to_string())
                 : fmt::format(
                       "foreign key {} points at columns ({}) of {}, which alone are no longer unique once {} is sharded by ({})",
                       incoming.constraint.name, join(incoming.constraint.referenced_columns), name.to_string(),
                       name.to_string(), join(self.key)),
             drop_constraint(incoming.table, incoming.constraint.name)});
    }
}

void check_columns(const TableFacts& facts, const PlannedTable& self, std::vector<Finding>& findings)
{
    const TableDefinition& table = facts.definition;
    for (const std::string& name : self.key) {
        const KeyColumnFacts& column = facts.key_facts.at(name);
        const std::string object = table.name.to_string() + "." + name;
        if (column.enumeration) {
            findings.push_back(
                {"unsupported_key_type", object, "error",
                 "the hash of an enum is that of an OID, which differs from node to node",
                 fmt::format(
                     "ALTER TABLE {0} ALTER COLUMN {1} DROP DEFAULT, ALTER COLUMN {1} TYPE text USING {1}::text;",
                     table.name.quoted(), quote_identifier(name))});
        } else if (!column.deterministic) {
            findings.push_back(
                {"unsupported_key_type", object, "error",
                 "its collation is nondeterministic: equal texts hash by the collation library's version",
                 fmt::format("ALTER TABLE {} ALTER COLUMN {} TYPE text COLLATE \"C\";", table.name.quoted(),
                             quote_identifier(name))});
        } else if (!column.hashable) {
            findings.push_back({"unsupported_key_type", object, "error",
                                "its type has no hash operator class, so PostgreSQL cannot partition by it", ""});
        }
        if (!table.column(name)->not_null) {
            findings.push_back({"key_column_nullable", object, "error", "a shard key may not be NULL",
                                fmt::format("ALTER TABLE {} ALTER COLUMN {} SET NOT NULL;", table.name.quoted(),
                                            quote_identifier(name))});
        }
    }
}

std::string primary_key_for(const TableDefinition& table, const std::vector<std::string>& key)
{
    for (const ConstraintDefinition& constraint : table.constraints) {
        if (constraint.kind == 'u') {
            return fmt::format("ALTER TABLE {} ADD PRIMARY KEY ({});", table.name.quoted(),
                               quoted_list(with_key_first(key, constraint.columns)));
        }
    }
    return fmt::format(
        "ALTER TABLE {0} ADD COLUMN row_id bigint GENERATED ALWAYS AS IDENTITY; ALTER TABLE {0} ADD PRIMARY KEY ({1}, row_id);",
        table.name.quoted(), quoted_list(key));
}

void check_keys(const TableFacts& facts, const PlannedTable& self, std::vector<Finding>& findings)
{
    const TableDefinition& table = facts.definition;
    const std::string object = table.name.to_string();
    if (table.primary_key() == nullptr) {
        findings.push_back({"no_primary_key", object, "error",
                            "rows without a primary key cannot be told apart in Kafka, in a move or in a projection",
                            primary_key_for(table, self.key)});
    }
    for (const ConstraintDefinition& constraint : table.constraints) {
        if ((constraint.kind != 'p' && constraint.kind != 'u' && constraint.kind != 'x') ||
            contains_all(constraint.columns, self.key)) {
            continue;
        }
        const std::string lost = fmt::format(
            "({}) alone is then no longer enforced unique across nodes; keep it so by how it is made (uuid, or a sequence of a range per node)",
            join(constraint.columns));
        if (constraint.kind == 'x') {
            findings.push_back(
                {"exclude_lacks_shard_key", object, "error",
                 fmt::format(
                     "exclusion constraint {} does not include the shard key ({}): nodes cannot enforce it together",
                     constraint.name, join(self.key)),
                 drop_constraint(table.name, constraint.name)});
            continue;
        }
        const bool primary = constraint.kind == 'p';
        findings.push_back(
            {primary ? "primary_key_lacks_shard_key" : "unique_lacks_shard_key", object, "error",
             fmt::format("{} {} ({}) does not include the shard key ({}), so no node can enforce it alone. {}",
                         primary ? "primary key" : "unique constraint", constraint.name, join(constraint.columns),
                         join(self.key), lost),
             fmt::format("ALTER TABLE {} DROP CONSTRAINT {}, ADD CONSTRAINT {} {} ({});", table.name.quoted(),
                         quote_identifier(constraint.name), quote_identifier(constraint.name),
                         primary ? "PRIMARY KEY" : "UNIQUE",
                         quoted_list(with_key_first(self.key, constraint.columns)))});
    }
    for (const IndexDefinition& index : table.indexes) {
        if (!index.unique || contains_all(index.columns, self.key)) {
            continue;
        }
        const QualifiedName name{table.name.schema, index.name};
        const bool plain = std::find(index.columns.begin(), index.columns.end(), "") == index.columns.end() &&
                           index.definition.ends_with(")") && index.definition.find(" WHERE ") == std::string::npos &&
                           index.definition.find(" INCLUDE ") == std::string::npos;
        findings.push_back(
            {"unique_lacks_shard_key", object, "error",
             fmt::format("unique index {} does not include the shard key ({}), so no node can enforce it alone",
                         index.name, join(self.key)),
             plain ? fmt::format("DROP INDEX {}; CREATE UNIQUE INDEX {} ON {} ({});", name.quoted(),
                                 quote_identifier(index.name), table.name.quoted(),
                                 quoted_list(with_key_first(self.key, index.columns)))
                   : fmt::format("DROP INDEX {};", name.quoted())});
    }
}

void check_kind(const TableFacts& facts, std::vector<Finding>& findings)
{
    const TableDefinition& table = facts.definition;
    const std::string object = table.name.to_string();
    if (table.partitioned || facts.partition_or_child) {
        findings.push_back(
            {"inheritance", object, "error",
             "it is partitioned or takes part in inheritance already; only a plain table can be distributed", ""});
    }
    if (!facts.dependents.empty()) {
        findings.push_back({"dependent_objects", object, "error",
                            fmt::format("other objects depend on the table as it is: {}; drop them before it is "
                                        "distributed and make them again afterwards",
                                        join(facts.dependents)),
                            ""});
    }
    if (table.unlogged) {
        findings.push_back({"unlogged", object, "error", "changes of an unlogged table are not in the WAL",
                            fmt::format("ALTER TABLE {} SET LOGGED;", table.name.quoted())});
    }
    if (table.replica_identity == 'n') {
        findings.push_back({"replica_identity_nothing", object, "error",
                            "UPDATE and DELETE would fail once the table is published",
                            fmt::format("ALTER TABLE {} REPLICA IDENTITY DEFAULT;", table.name.quoted())});
    }
    if (const std::string column = table.generated_identity();
        facts.newest_server >= kRefusesGeneratedIdentity && !column.empty()) {
        findings.push_back(
            {"replica_identity_generated", object, "error",
             fmt::format("its replica identity has generated column {}: PostgreSQL 18 would refuse UPDATE and DELETE "
                         "once the table is published",
                         column),
             fmt::format("ALTER TABLE {} REPLICA IDENTITY DEFAULT;", table.name.quoted())});
    }
    for (const ConstraintDefinition& constraint : table.constraints) {
        if (constraint.kind == 'c' && !constraint.inheritable) {
            findings.push_back(
                {"check_not_inherited", object, "error",
                 fmt::format("CHECK {} is NO INHERIT, which a partitioned table cannot have", constraint.name),
                 drop_constraint(table.name, constraint.name)});
        }
    }
}

} // namespace

nlohmann::json to_json(const std::vector<Finding>& findings)
{
    nlohmann::json list = nlohmann::json::array();
    for (const Finding& finding : findings) {
        list.push_back({{"check", finding.check},
                        {"object", finding.object},
                        {"severity", finding.severity},
                        {"why", finding.why},
                        {"fix", finding.fix}});
    }
    return list;
}

std::vector<Finding> check_table(const TableFacts& facts, const Plan& plan, bool incoming_may_wait)
{
    return check_tables({facts}, plan, incoming_may_wait);
}

std::vector<Finding> check_tables(const std::vector<TableFacts>& tables, const Plan& plan, bool incoming_may_wait)
{
    std::vector<Finding> findings;
    for (const TableFacts& facts : tables) {
        check_outgoing(facts, plan, findings);
    }
    for (const TableFacts& facts : tables) {
        check_incoming(facts, plan, incoming_may_wait, findings);
    }
    for (const TableFacts& facts : tables) {
        check_kind(facts, findings);
        check_columns(facts, plan.at(facts.definition.name), findings);
        check_keys(facts, plan.at(facts.definition.name), findings);
    }
    // A crossing foreign key is seen from both its ends; it is dropped once.
    std::vector<Finding> once;
    for (Finding& finding : findings) {
        const bool repeated = std::any_of(once.begin(), once.end(), [&](const Finding& f) {
            return f.check == finding.check && f.fix == finding.fix && f.object == finding.object && !f.fix.empty();
        });
        if (!repeated) {
            once.push_back(std::move(finding));
        }
    }
    return once;
}

std::map<std::string, KeyColumnFacts> read_key_facts(pg::Connection& connection, const QualifiedName& table,
                                                     const std::vector<std::string>& key)
{
    const pg::Result rows = connection.query(
        "SELECT a.attname, b.typtype = 'e', coalesce((SELECT c.collisdeterministic FROM pg_catalog.pg_collation c WHERE c.oid = a.attcollation), true), "
        "  EXISTS (SELECT FROM pg_catalog.pg_opclass o JOIN pg_catalog.pg_am m ON m.oid = o.opcmethod AND m.amname = 'hash' "
        "          WHERE o.opcdefault AND (o.opcintype = b.oid OR b.typtype IN ('e', 'r', 'c', 'm') OR b.typcategory = 'A' OR EXISTS (SELECT FROM pg_catalog.pg_cast k "
        "          WHERE k.castsource = b.oid AND k.casttarget = o.opcintype AND k.castmethod = 'b' AND k.castcontext = 'i'))) "
        "FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid "
        "JOIN pg_catalog.pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END "
        "WHERE a.attrelid = $1::regclass AND a.attname = ANY ($2::text[]) AND NOT a.attisdropped",
        {table.quoted(), write_array(key)});
    std::map<std::string, KeyColumnFacts> facts;
    for (int row = 0; row < rows.rows(); ++row) {
        facts[std::string(rows.text(row, 0))] = {rows.boolean(row, 1), rows.boolean(row, 2), rows.boolean(row, 3)};
    }
    return facts;
}

TableFacts read_facts(pg::Connection& connection, const QualifiedName& table, const std::vector<std::string>& key)
{
    TableFacts facts;
    facts.definition = read_table(connection, table);
    facts.newest_server = connection.server_version();
    facts.incoming = read_incoming_foreign_keys(connection, table);
    facts.key_facts = read_key_facts(connection, table, key);
    facts.dependents = dependents_of(connection, table);
    facts.partition_or_child =
        connection
            .query(
                "SELECT EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhrelid = $1::regclass OR inhparent = $1::regclass)",
                {table.quoted()})
            .boolean(0, 0);
    return facts;
}

} // namespace keyshift::catalog
