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

std::string set_each(const MoveTable& table, const pg::Result& triggers, bool as_on_root)
{
    std::string statements;
    for (int row = 0; row < triggers.rows(); ++row) {
        const std::string state = as_on_root ? std::string(triggers.text(row, 1)) : "DISABLE";
        statements += "ALTER TABLE ONLY " + table.leaf.quoted() + " " + state + " TRIGGER " +
                      std::string(triggers.text(row, 0)) + ";";
    }
    return statements;
}

void run(pg::Connection& node, const std::string& statements)
{
    if (!statements.empty()) {
        node.script(statements);
    }
}

} // namespace

void silence_user_triggers(pg::Connection& node, const MoveTable& table)
{
    run(node, set_each(table, user_triggers(node, table), false));
}

std::string restored_user_triggers(pg::Connection& node, const MoveTable& table)
{
    return set_each(table, user_triggers(node, table), true);
}

void restore_user_triggers(pg::Connection& node, const MoveTable& table)
{
    run(node, restored_user_triggers(node, table));
}

} // namespace keyshift::resharder
