#include "catalog/rights.hpp"

#include "catalog/rows.hpp"
#include "core/error.hpp"

#include <fmt/format.h>

namespace keyshift::catalog {

namespace {

constexpr int kSetOption = 160000; ///< GRANT ... WITH SET, INHERIT

struct Role {
    std::string name; ///< quoted
    bool superuser = false;
    std::string database; ///< quoted
};

Role role_of(pg::Connection& node)
{
    const pg::Result rows = node.query("SELECT pg_catalog.quote_ident(current_user), rolsuper, "
                                       "pg_catalog.quote_ident(pg_catalog.current_database()) "
                                       "FROM pg_catalog.pg_roles WHERE rolname = current_user");
    return {std::string(rows.text(0, 0)), rows.boolean(0, 1), std::string(rows.text(0, 2))};
}

Finding missing(const pg::Connection& node, const Role& role, const std::string& why, const std::string& fix)
{
    return {"right_missing", fmt::format("role {} on {}", role.name, node.name()), "error", why, fix};
}

/// As the name of a privilege of pg_has_role(): may this role give a table to that one?
std::string give_privilege(pg::Connection& node)
{
    return node.server_version() >= kSetOption ? "'SET'" : "'MEMBER'";
}

std::string grant_owner(pg::Connection& node, const Role& role, const std::string& owner)
{
    return fmt::format("GRANT {} TO {}{};", owner, role.name,
                       node.server_version() >= kSetOption ? " WITH INHERIT TRUE, SET TRUE" : "");
}

std::string grant_schema(const std::string& schema, const std::string& role)
{
    return fmt::format("GRANT USAGE, CREATE ON SCHEMA {} TO {};", schema, role);
}

std::vector<Finding> missing_on_table(pg::Connection& node, const QualifiedName& table, bool distribute)
{
    const Role role = role_of(node);
    std::vector<Finding> found;
    const pg::Result rows = node.query(
        fmt::format(
            "SELECT pg_catalog.quote_ident(o.rolname), o.rolsuper, pg_catalog.pg_has_role(o.oid, 'USAGE'), pg_catalog.pg_has_role(o.oid, {}), "
            "pg_catalog.has_schema_privilege(n.oid, 'CREATE') AND pg_catalog.has_schema_privilege(n.oid, 'USAGE'), "
            "pg_catalog.has_schema_privilege(o.oid, n.oid, 'CREATE'), pg_catalog.quote_ident(n.nspname) "
            "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_roles o ON o.oid = c.relowner "
            "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = pg_catalog.to_regclass($1)",
            give_privilege(node)),
        {table.quoted()});
    if (role.superuser || rows.rows() == 0) {
        return found;
    }
    const std::string owner(rows.text(0, 0));
    const std::string schema(rows.text(0, 6));
    if (!rows.boolean(0, 2)) {
        found.push_back(
            missing(node, role, fmt::format("it must own {} or be a member of its owner {}", table.to_string(), owner),
                    rows.boolean(0, 1) ? fmt::format("ALTER TABLE {} OWNER TO {};", table.quoted(), role.name)
                                       : grant_owner(node, role, owner)));
    } else if (distribute && !rows.boolean(0, 3)) {
        found.push_back(missing(node, role, fmt::format("it may not give leaves of {} to {}", table.to_string(), owner),
                                grant_owner(node, role, owner)));
    }
    if (distribute && !rows.boolean(0, 4)) {
        found.push_back(missing(node, role,
                                fmt::format("it may not make leaves of {} in schema {}", table.to_string(), schema),
                                grant_schema(schema, role.name)));
    }
    if (distribute && !rows.boolean(0, 5) && owner != role.name) {
        found.push_back(missing(
            node, role,
            fmt::format("{}, the owner of {}, may not have leaves in schema {}", owner, table.to_string(), schema),
            grant_schema(schema, owner)));
    }
    return found;
}

} // namespace

std::vector<Finding> missing_on_node(pg::Connection& node, const std::string& publication)
{
    const Role role = role_of(node);
    std::vector<Finding> found;
    if (role.superuser) {
        return found;
    }
    const pg::Result rows = node.query(
        "SELECT r.rolreplication OR EXISTS (SELECT FROM pg_catalog.pg_roles g WHERE g.rolname = 'rds_replication' AND "
        "pg_catalog.pg_has_role(g.oid, 'USAGE')), pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'), "
        "coalesce((SELECT pg_catalog.pg_has_role(nspowner, 'USAGE') FROM pg_catalog.pg_namespace WHERE nspname = 'keyshift'), true), "
        "coalesce((SELECT pg_catalog.pg_has_role(pubowner, 'USAGE') FROM pg_catalog.pg_publication WHERE pubname = $1), true), "
        "EXISTS (SELECT FROM pg_catalog.pg_roles g WHERE g.rolname = 'rds_replication') "
        "FROM pg_catalog.pg_roles r WHERE r.rolname = current_user",
        {publication});
    if (!rows.boolean(0, 0)) {
        found.push_back(missing(node, role, "it may not use replication: no slot, no stream",
                                rows.boolean(0, 4) ? fmt::format("GRANT rds_replication TO {};", role.name)
                                                   : fmt::format("ALTER ROLE {} REPLICATION;", role.name)));
    }
    if (!rows.boolean(0, 1)) {
        found.push_back(missing(node, role,
                                fmt::format("it may not create a schema or publication in database {}", role.database),
                                fmt::format("GRANT CREATE ON DATABASE {} TO {};", role.database, role.name)));
    }
    if (!rows.boolean(0, 2)) {
        found.push_back(missing(node, role, "it may not change the schema keyshift, which another role owns",
                                fmt::format("ALTER SCHEMA keyshift OWNER TO {};", role.name)));
    }
    if (!rows.boolean(0, 3)) {
        found.push_back(
            missing(node, role, fmt::format("it may not change publication {}, which another role owns", publication),
                    fmt::format("ALTER PUBLICATION {} OWNER TO {};", quote_identifier(publication), role.name)));
    }
    return found;
}

std::vector<Finding> missing_to_publish(pg::Connection& node, const QualifiedName& table)
{
    return missing_on_table(node, table, false);
}

std::vector<Finding> missing_to_distribute(pg::Connection& node, const QualifiedName& table)
{
    return missing_on_table(node, table, true);
}

std::vector<Finding> missing_in_schema(pg::Connection& node, const std::string& schema)
{
    const Role role = role_of(node);
    const pg::Result rows = node.query(
        "SELECT pg_catalog.has_schema_privilege(oid, 'CREATE') AND pg_catalog.has_schema_privilege(oid, 'USAGE') "
        "FROM pg_catalog.pg_namespace WHERE nspname = $1",
        {schema});
    if (rows.rows() == 0 || rows.boolean(0, 0)) {
        return {};
    }
    return {missing(node, role, fmt::format("it may not create anything in schema {}", schema),
                    grant_schema(quote_identifier(schema), role.name))};
}

std::vector<Finding> missing_to_make(pg::Connection& node, const TableDefinition& table)
{
    const Role role = role_of(node);
    std::vector<Finding> found = missing_in_schema(node, table.name.schema);
    const pg::Result rows = node.query(
        fmt::format(
            "SELECT pg_catalog.quote_ident(o.rolname), pg_catalog.pg_has_role(o.oid, 'USAGE') AND pg_catalog.pg_has_role(o.oid, {}), "
            "coalesce((SELECT pg_catalog.has_schema_privilege(o.oid, n.oid, 'CREATE') FROM pg_catalog.pg_namespace n WHERE n.nspname = $2), true) "
            "FROM pg_catalog.pg_roles o WHERE o.rolname = $1 AND o.rolname <> current_user",
            give_privilege(node)),
        {table.owner, table.name.schema});
    if (role.superuser || rows.rows() == 0) {
        return found;
    }
    const std::string owner(rows.text(0, 0));
    if (!rows.boolean(0, 1)) {
        found.push_back(missing(node, role,
                                fmt::format("it may not give {} its owner {}", table.name.to_string(), owner),
                                grant_owner(node, role, owner)));
    }
    if (!rows.boolean(0, 2)) {
        found.push_back(missing(node, role,
                                fmt::format("{}, the owner of {}, may not have tables in schema {}", owner,
                                            table.name.to_string(), table.name.schema),
                                grant_schema(quote_identifier(table.name.schema), owner)));
    }
    return found;
}

std::vector<Finding> wanted_on_node(pg::Connection& node)
{
    const Role role = role_of(node);
    if (role.superuser || node.query("SELECT pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')").boolean(0, 0)) {
        return {};
    }
    return {{"right_wanted", fmt::format("role {} on {}", role.name, node.name()), "warning",
             "it sees pid and lock of other roles' sessions but not their query and age, which `reshard explain` would "
             "show; nor how far standbys are behind, by which [reshard] max_replica_lag holds a move back",
             fmt::format("GRANT pg_read_all_stats TO {};", role.name)}};
}

std::vector<Finding> wanted_on_catalog(pg::Connection& catalog)
{
    std::vector<Finding> found;
    for (const std::string_view name : {"keyshift_operator", "keyshift_reader"}) {
        if (!catalog.query("SELECT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = $1)", {name})
                 .boolean(0, 0)) {
            found.push_back({"role_missing", std::string(name), "warning",
                             "`init` gives it its rights in the catalog, and may not create it. Create it and run "
                             "`keyshift init` once more",
                             fmt::format("CREATE ROLE {} NOLOGIN;", name)});
        }
    }
    return found;
}

void refuse_missing(const std::string& what, const std::vector<Finding>& missing)
{
    if (missing.empty()) {
        return;
    }
    std::vector<std::string> reasons;
    std::vector<std::string> fixes;
    for (const Finding& one : missing) {
        reasons.push_back(fmt::format("{}: {}", one.object, one.why));
        fixes.push_back(one.fix);
    }
    throw RefusedError({what, join(reasons, "; "), "As an administrator: " + join(fixes, " ")});
}

} // namespace keyshift::catalog
