#include "resharder/steps/steps.hpp"

namespace keyshift::resharder {

namespace {

/// Name and state on the root of each trigger that the leaf has from it; not those of foreign keys, nor Keyshift's own.
pg::Result user_triggers(pg::Connection& node, const MoveTable& table)
{
    return node.query(
        "SELECT quote_ident(t.tgname), CASE up.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'A' THEN 'ENABLE ALWAYS' WHEN 'R' THEN 'ENABLE REPLICA' "
        "ELSE 'ENABLE' END FROM pg_trigger t JOIN pg_trigger up ON up.oid = t.tgparentid "
        "WHERE t.tgrelid = $1::regclass AND NOT t.tgisinternal ORDER BY t.tgname",
        {table.leaf.quoted()});
}

void set_each(pg::Connection& node, const MoveTable& table, const pg::Result& triggers, bool as_on_root)
{
    for (int row = 0; row < triggers.rows(); ++row) {
        const std::string state = as_on_root ? std::string(triggers.text(row, 1)) : "DISABLE";
        node.query("ALTER TABLE ONLY " + table.leaf.quoted() + " " + state + " TRIGGER " +
                   std::string(triggers.text(row, 0)));
    }
}

} // namespace

void silence_user_triggers(pg::Connection& node, const MoveTable& table)
{
    set_each(node, table, user_triggers(node, table), false);
}

void restore_user_triggers(pg::Connection& node, const MoveTable& table)
{
    set_each(node, table, user_triggers(node, table), true);
}

} // namespace keyshift::resharder
