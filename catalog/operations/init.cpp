#include "catalog/operations.hpp"

#include "catalog/embedded_sql.hpp"
#include "catalog/node_sql.hpp"
#include "catalog/rights.hpp"
#include "core/error.hpp"
#include "core/json.hpp"

#include <fmt/format.h>

namespace keyshift::catalog {

namespace {

struct Found {
    bool present = false;
    int version = kCatalogVersion;
    std::string cluster;
    std::string topic_prefix;
};

Found look(pg::Connection& catalog)
{
    Found found;
    found.present = catalog.query("SELECT pg_catalog.to_regclass('keyshift.meta') IS NOT NULL").boolean(0, 0) &&
                    !meta(catalog, "version").empty();
    if (found.present) {
        found.version = readable_version(catalog);
        found.cluster = meta(catalog, "cluster");
        found.topic_prefix = meta(catalog, "topic_prefix");
    }
    return found;
}

void refuse_other_setting(const std::string& setting, const std::string& stored, const std::string& given)
{
    if (stored != given) {
        throw RefusedError(
            {"init",
             fmt::format(
                 "this catalog was made with {} \"{}\"; slots, publications or topics carry that name, now it is \"{}\"",
                 setting, stored, given),
             fmt::format("Set {} back to \"{}\" in the configuration, or use another database.", setting, stored)});
    }
}

void check_rights(pg::Connection& catalog)
{
    const pg::Result rows = catalog.query(
        "SELECT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'), current_user, pg_catalog.current_database(), "
        "coalesce((SELECT pg_catalog.pg_has_role(nspowner, 'USAGE') FROM pg_catalog.pg_namespace WHERE nspname = 'keyshift'), true)");
    if (!rows.boolean(0, 0) || !rows.boolean(0, 3)) {
        throw RefusedError({fmt::format("init in database {}", rows.text(0, 2)),
                            fmt::format("role {} may not {}", rows.text(0, 1),
                                        rows.boolean(0, 0) ? "change the schema keyshift, which another role owns"
                                                           : "create a schema here"),
                            rows.boolean(0, 0)
                                ? "Connect as the owner of schema keyshift."
                                : fmt::format("As the database's owner: GRANT CREATE ON DATABASE {} TO {};",
                                              quote_identifier(rows.text(0, 2)), quote_identifier(rows.text(0, 1)))});
    }
}

/// Roles are the server's, shared by its databases. Where this role may not create them they are left out: the warnings
/// say how they come.
std::vector<Finding> make_roles(pg::Connection& catalog)
{
    const bool may =
        catalog.query("SELECT rolsuper OR rolcreaterole FROM pg_catalog.pg_roles WHERE rolname = current_user")
            .boolean(0, 0);
    for (const std::string_view role : {"keyshift_operator", "keyshift_reader"}) {
        if (may) {
            // Another cluster of this server may be at it just now.
            catalog.script(fmt::format("DO $$ BEGIN CREATE ROLE {} NOLOGIN; "
                                       "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$",
                                       role));
        }
        if (catalog.query("SELECT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = $1)", {role}).boolean(0, 0)) {
            const bool operates = role == "keyshift_operator";
            catalog.script(fmt::format("GRANT USAGE ON SCHEMA keyshift TO {0};"
                                       "GRANT SELECT{1} ON ALL TABLES IN SCHEMA keyshift TO {0}",
                                       role, operates ? ", INSERT, UPDATE, DELETE" : ""));
            if (operates) {
                catalog.script("GRANT USAGE ON ALL SEQUENCES IN SCHEMA keyshift TO keyshift_operator");
            }
        }
    }
    return wanted_on_catalog(catalog);
}

/// The nodes before the version: one that is down leaves the catalog of the older version, and init is run again.
void bring_up_to_date(pg::Connection& catalog, const std::string& cluster)
{
    {
        pg::Transaction transaction(catalog);
        catalog.script(kCatalogSql);
        transaction.commit();
    }
    for (const Node& one : nodes(catalog)) {
        doing(fmt::format("bringing node {} up to date", one.name), [&] {
            pg::Connection connection(one.connection("init"));
            pg::Transaction transaction(connection);
            install_node_schema(connection, cluster, one.name);
            transaction.commit();
        });
    }
}

} // namespace

nlohmann::json init(pg::Connection& catalog, const std::string& cluster, const std::string& topic_prefix, bool dry_run)
{
    const Found found = look(catalog);
    if (found.present) {
        refuse_other_setting("cluster", found.cluster, cluster);
        refuse_other_setting("topic_prefix", found.topic_prefix, topic_prefix);
    }
    check_rights(catalog);
    nlohmann::json result = {{"version", kCatalogVersion},
                             {"cluster", cluster},
                             {"topic_prefix", topic_prefix},
                             {"created", !found.present},
                             {"dry_run", dry_run}};
    if (dry_run) {
        return result;
    }
    if (found.version < kCatalogVersion) {
        bring_up_to_date(catalog, cluster);
    }
    pg::Transaction transaction(catalog);
    catalog.query("SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('keyshift init'))");
    catalog.script(kCatalogSql);
    catalog.query(
        "INSERT INTO keyshift.meta (key, value) VALUES ('version', $1), ('cluster', $2), ('topic_prefix', $3) "
        "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        {std::to_string(kCatalogVersion), cluster, topic_prefix});
    const std::vector<Finding> left_out = make_roles(catalog);
    result["roles"] = left_out.empty();
    result["warnings"] = nlohmann::json::array();
    for (const Finding& one : left_out) {
        result["warnings"].push_back(fmt::format("role {}: {}: {}", one.object, one.why, one.fix));
    }
    transaction.commit();
    return result;
}

} // namespace keyshift::catalog
