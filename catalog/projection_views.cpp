#include "catalog/projection_views.hpp"

#include "catalog/node_access.hpp"
#include "catalog/node_sql.hpp"
#include "catalog/rows.hpp"
#include "catalog/table_ddl.hpp"
#include "catalog/table_definition.hpp"

#include <fmt/core.h>

namespace keyshift::catalog {

namespace {

void copy_relation(pg::Connection& from, pg::Connection& to, const QualifiedName& name, std::string_view kind)
{
    if (kind == "v") {
        const pg::Result text = from.query("SELECT pg_catalog.pg_get_viewdef($1::regclass)", {name.quoted()});
        to.script(fmt::format("CREATE OR REPLACE VIEW {} AS {}", name.quoted(), text.text(0, 0)));
    } else if (kind == "r" && name.schema == "keyshift" && !table_exists(to, name)) {
        const TableDefinition table = read_table(from, name);
        create_bare_table(to, table, {});
        static_cast<void>(set_owner(to, table));
        complete_table(to, table);
    }
}

std::vector<std::string> copy_grants(pg::Connection& from, pg::Connection& to, const QualifiedName& view)
{
    std::vector<std::string> warnings;
    for (const std::string& grant : read_grants(from, view)) {
        if (!run_unless(to, grant, {"42704"})) {
            warnings.push_back(fmt::format("not carried to {}, where the role does not exist: {}", to.name(), grant));
        }
    }
    return warnings;
}

} // namespace

std::vector<std::string> copy_projection_views(pg::Connection& from, pg::Connection& to)
{
    // What a view reads comes before it.
    const pg::Result relations = from.query(R"(
WITH RECURSIVE read(oid, depth) AS (
    SELECT t.alias::oid, 0 FROM keyshift.local_table t WHERE t.alias IS NOT NULL
    UNION SELECT d.refobjid, r.depth + 1 FROM read r JOIN pg_catalog.pg_rewrite w ON w.ev_class = r.oid
          JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = w.oid
               AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid <> r.oid)
SELECT n.nspname, c.relname, c.relkind FROM read r JOIN pg_catalog.pg_class c ON c.oid = r.oid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
GROUP BY n.nspname, c.relname, c.relkind ORDER BY pg_catalog.max(r.depth) DESC, c.relname)");
    for (int row = 0; row < relations.rows(); ++row) {
        copy_relation(from, to, {std::string(relations.text(row, 0)), std::string(relations.text(row, 1))},
                      relations.text(row, 2));
    }
    const pg::Result views = from.query(R"(
SELECT rn.nspname, r.relname, vn.nspname, v.relname, t.group_name, coalesce(t.members, '{}')
FROM keyshift.local_table t JOIN pg_catalog.pg_class r ON r.oid = t.root JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
JOIN pg_catalog.pg_class v ON v.oid = t.alias JOIN pg_catalog.pg_namespace vn ON vn.oid = v.relnamespace)");
    std::vector<std::string> warnings;
    for (int row = 0; row < views.rows(); ++row) {
        const QualifiedName view{std::string(views.text(row, 2)), std::string(views.text(row, 3))};
        set_alias(to, {std::string(views.text(row, 0)), std::string(views.text(row, 1))}, view);
        if (const auto members = read_array(views.text(row, 5)); !members.empty()) {
            set_members(to, std::string(views.text(row, 4)), members);
        }
        const std::vector<std::string> more = copy_grants(from, to, view);
        warnings.insert(warnings.end(), more.begin(), more.end());
    }
    return warnings;
}

} // namespace keyshift::catalog
