#include "catalog/strict.hpp"

#include <fmt/format.h>

namespace keyshift::catalog {

namespace {

/// The table's row security without Keyshift's, which the comment on policy keyshift_strict remembers.
enum class OwnSecurity { none, enabled, forced };

std::string name_of(OwnSecurity own)
{
    return own == OwnSecurity::none ? "none" : own == OwnSecurity::enabled ? "enabled" : "forced";
}

OwnSecurity own_security(pg::Connection& node, const QualifiedName& root)
{
    const pg::Result rows =
        node.query("SELECT relrowsecurity, relforcerowsecurity FROM pg_catalog.pg_class WHERE oid = $1::regclass",
                   {root.quoted()});
    return !rows.boolean(0, 0) ? OwnSecurity::none : rows.boolean(0, 1) ? OwnSecurity::forced : OwnSecurity::enabled;
}

/// Restrictive policies of the table's own that would bind its owner once row security is forced.
bool would_bind_owner(pg::Connection& node, const QualifiedName& root)
{
    return node
        .query(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid = p.polrelid "
            "WHERE c.oid = $1::regclass AND NOT p.polpermissive AND (p.polroles = '{0}' OR c.relowner = ANY (p.polroles)))",
            {root.quoted()})
        .boolean(0, 0);
}

bool has_policy(pg::Connection& node, const QualifiedName& root, const std::string& policy)
{
    return node
        .query(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_policy WHERE polrelid = pg_catalog.to_regclass($1) AND polname = $2)",
            {root.quoted(), policy})
        .boolean(0, 0);
}

std::string owner_of(pg::Connection& node, const QualifiedName& root)
{
    return std::string(
        node.query(
                "SELECT pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(relowner)) FROM pg_catalog.pg_class WHERE oid = $1::regclass",
                {root.quoted()})
            .text(0, 0));
}

} // namespace

std::string make_strict(pg::Connection& node, const QualifiedName& root, const std::string& group)
{
    node.query("SELECT keyshift.internal_compile_guard($1)", {group});
    if (is_strict(node, root)) {
        return {};
    }
    const OwnSecurity own = own_security(node, root);
    const bool owner_stays_free = own == OwnSecurity::enabled && would_bind_owner(node, root);
    const std::string table = root.quoted();
    const std::string guard(node.query("SELECT keyshift.internal_guard_name($1)", {group}).text(0, 0));
    if (own == OwnSecurity::none) {
        node.script(
            fmt::format("CREATE POLICY keyshift_all ON {} FOR ALL TO PUBLIC USING (true) WITH CHECK (true)", table));
    } else if (own == OwnSecurity::enabled && !owner_stays_free) {
        node.script(fmt::format("CREATE POLICY keyshift_owner ON {} FOR ALL TO {} USING (true) WITH CHECK (true)",
                                table, owner_of(node, root)));
    }
    // What an INSERT brings is refused row by row, by the triggers of the leaves.
    node.script(fmt::format(
        "CREATE POLICY keyshift_strict ON {0} AS RESTRICTIVE FOR ALL TO PUBLIC USING (keyshift.{1}()) WITH CHECK (true);"
        "COMMENT ON POLICY keyshift_strict ON {0} IS '{2}'; ALTER TABLE {0} ENABLE ROW LEVEL SECURITY",
        table, quote_identifier(guard), name_of(own)));
    if (owner_stays_free) {
        return fmt::format(
            "{} has restrictive policies of its own that would bind its owner, who therefore reads and writes "
            "it unguarded",
            root.to_string());
    }
    node.script(fmt::format("ALTER TABLE {} FORCE ROW LEVEL SECURITY", table));
    return {};
}

bool is_strict(pg::Connection& node, const QualifiedName& root)
{
    return has_policy(node, root, "keyshift_strict");
}

void end_strict(pg::Connection& node, const QualifiedName& root)
{
    const pg::Result rows =
        node.query("SELECT coalesce(pg_catalog.obj_description(oid, 'pg_policy'), '') FROM pg_catalog.pg_policy "
                   "WHERE polrelid = pg_catalog.to_regclass($1) AND polname = 'keyshift_strict'",
                   {root.quoted()});
    if (rows.rows() == 0) {
        return;
    }
    const std::string own(rows.text(0, 0));
    std::string script;
    for (const char* policy : {"keyshift_strict", "keyshift_all", "keyshift_owner"}) {
        script += fmt::format("DROP POLICY IF EXISTS {} ON {};", policy, root.quoted());
    }
    if (own != name_of(OwnSecurity::forced)) {
        script += fmt::format("ALTER TABLE {} NO FORCE ROW LEVEL SECURITY;", root.quoted());
    }
    if (own == name_of(OwnSecurity::none)) {
        script += fmt::format("ALTER TABLE {} DISABLE ROW LEVEL SECURITY;", root.quoted());
    }
    node.script(script);
}

void end_all_strict(pg::Connection& node)
{
    const pg::Result rows = node.query(
        "SELECT n.nspname, c.relname FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid = p.polrelid "
        "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE p.polname = 'keyshift_strict'");
    for (int row = 0; row < rows.rows(); ++row) {
        end_strict(node, {std::string(rows.text(row, 0)), std::string(rows.text(row, 1))});
    }
}

void bind_owner(pg::Connection& node, const QualifiedName& root, bool bound)
{
    if (has_policy(node, root, "keyshift_all") || has_policy(node, root, "keyshift_owner")) {
        node.script(fmt::format("ALTER TABLE {} {} ROW LEVEL SECURITY", root.quoted(), bound ? "FORCE" : "NO FORCE"));
    }
}

void map_changed(pg::Connection& node, const std::string& group)
{
    node.query("SELECT keyshift.internal_map_changed($1)", {group});
}

std::vector<Finding> check_strict(const OpenNode& open, const CapturedTable& table)
{
    pg::Connection& node = *open.connection;
    const std::string object = table.name.to_string() + " on " + open.node.name;
    if (!table_exists(node, table.name)) {
        return {};
    }
    const bool strict = is_strict(node, table.name);
    if (strict != table.strict) {
        return {{"strict_differs", object, "error",
                 fmt::format("the catalog says that it is {}strict; `keyshift table strict {}{}` makes it so",
                             table.strict ? "" : "not ", table.name.to_string(), table.strict ? "" : " --off"),
                 ""}};
    }
    const bool bound = has_policy(node, table.name, "keyshift_all") || has_policy(node, table.name, "keyshift_owner");
    const OwnSecurity now = own_security(node, table.name);
    if (strict && (now == OwnSecurity::none || (bound && now != OwnSecurity::forced))) {
        return {{"strict_off", object, "error", "its row security was switched off, so that old maps are not refused",
                 fmt::format("ALTER TABLE {0} ENABLE ROW LEVEL SECURITY; ALTER TABLE {0} FORCE ROW LEVEL SECURITY;",
                             table.name.quoted())}};
    }
    return {};
}

} // namespace keyshift::catalog
