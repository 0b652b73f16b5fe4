#include "resharder/move_context.hpp"

#include "resharder/move_owner.hpp"
#include "resharder/steps/open_transaction.hpp"

#include <algorithm>
#include <set>

namespace keyshift::resharder {

namespace {

pg::ConnectionSettings catalog_settings(const MoveEnvironment& with, std::int64_t move)
{
    pg::ConnectionSettings settings = with.catalog;
    settings.purpose = "move " + std::to_string(move);
    return settings;
}

void read_columns(pg::Connection& recipient, MoveTable& table)
{
    const std::string root = table.root.quoted();
    const auto columns = recipient.query(
        "SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attidentity = 'a' FROM pg_attribute a "
        "WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum",
        {root});
    for (int row = 0; row < columns.rows(); ++row) {
        table.columns.push_back(
            {std::string(columns.text(row, 0)), std::string(columns.text(row, 1)), columns.boolean(row, 2)});
    }
    const auto key = recipient.query(
        "SELECT a.attname FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place) "
        "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum "
        "WHERE i.indrelid = $1::regclass AND i.indisprimary AND k.place <= i.indnkeyatts ORDER BY k.place",
        {root});
    for (int row = 0; row < key.rows(); ++row) {
        table.primary_key.emplace_back(key.text(row, 0));
    }
}

/// Names of the roots that `root` references.
std::set<QualifiedName> referenced_by(pg::Connection& node, const QualifiedName& root)
{
    const auto rows =
        node.query("SELECT DISTINCT n.nspname, c.relname FROM pg_constraint k JOIN pg_class c ON c.oid = k.confrelid "
                   "JOIN pg_namespace n ON n.oid = c.relnamespace "
                   "WHERE k.conrelid = $1::regclass AND k.contype = 'f' AND k.conparentid = 0",
                   {root.quoted()});
    std::set<QualifiedName> names;
    for (int row = 0; row < rows.rows(); ++row) {
        names.insert({std::string(rows.text(row, 0)), std::string(rows.text(row, 1))});
    }
    return names;
}

std::vector<MoveTable> parents_first(pg::Connection& node, std::vector<MoveTable> tables)
{
    std::vector<MoveTable> ordered;
    while (!tables.empty()) {
        auto next = std::find_if(tables.begin(), tables.end(), [&](const MoveTable& table) {
            const auto parents = referenced_by(node, table.root);
            return std::none_of(tables.begin(), tables.end(), [&](const MoveTable& other) {
                return other.root != table.root && parents.contains(other.root);
            });
        });
        if (next == tables.end()) {
            next = tables.begin(); // a cycle of foreign keys: any order is as good
        }
        ordered.push_back(std::move(*next));
        tables.erase(next);
    }
    return ordered;
}

} // namespace

std::vector<MoveTable> tables_of_move(pg::Connection& catalog, pg::Connection& recipient, const BucketMove& move)
{
    std::vector<MoveTable> tables;
    for (const catalog::CapturedTable& captured : catalog::tables_of_group(catalog, move.group)) {
        MoveTable table;
        table.id = captured.id;
        table.root = captured.name;
        table.leaf = catalog::leaf_name(captured.name, move.bucket);
        table.staging = {"keyshift", "stage_" + std::to_string(move.id) + "_" + std::to_string(captured.id)};
        table.key = captured.key_columns;
        read_columns(recipient, table);
        tables.push_back(std::move(table));
    }
    if (tables.empty()) {
        throw FatalError(
            {"moving " + move.subject(), "the catalog has no table of this group", "look at `keyshift table list`"});
    }
    return parents_first(recipient, std::move(tables));
}

bool table_exists(pg::Connection& node, const QualifiedName& table)
{
    return node.query("SELECT to_regclass($1) IS NOT NULL", {table.quoted()}).boolean(0, 0);
}

MoveContext::MoveContext(const MoveEnvironment& with, std::int64_t move_id)
    : environment(with), catalog(with.sessions->take(catalog_settings(with, move_id))), journal(catalog, move_id),
      group(catalog::group(catalog, move().group)), donor_node(catalog::node(catalog, move().donor)),
      recipient_node(catalog::node(catalog, move().recipient)), donor(connect_donor("main")),
      recipient(connect_recipient("main"))
{
    if (is_last(move().state)) {
        return; // the reply to the last step was lost: nothing of the move may come back
    }
    for (pg::Connection* node : {&donor, &recipient}) {
        end_older_sessions(*node, move());
        raise_owner(*node, move());
    }
    tables = tables_of_move(catalog, recipient, move());
}

MoveContext::~MoveContext() = default;

pg::ConnectionSettings MoveContext::purpose(const catalog::Node& node, const std::string& what) const
{
    return node.connection("move " + std::to_string(move().id) + " " + what);
}

pg::Connection MoveContext::connect_donor(const std::string& what) const
{
    return environment.sessions->take(purpose(donor_node, what));
}

pg::Connection MoveContext::connect_recipient(const std::string& what) const
{
    return environment.sessions->take(purpose(recipient_node, what));
}

cdc::StreamPort& MoveContext::donor_stream() const
{
    cdc::StreamPort* port = environment.stream(move().donor);
    if (port == nullptr) {
        throw TransientError({"moving " + move().subject(), "the stream of node " + move().donor + " does not run",
                              "look at `keyshift cdc status`; the move goes on when it streams"});
    }
    return *port;
}

void MoveContext::tell_streams() const
{
    for (const std::string& node : {move().donor, move().recipient}) {
        if (cdc::StreamPort* port = environment.stream(node)) {
            port->placement_changed();
        }
    }
}

void MoveContext::give_back_all() noexcept
{
    for (pg::Connection* session : {&catalog, &donor, &recipient}) {
        give_back(std::move(*session));
    }
}

bool MoveContext::take_turn()
{
    if (auto taken = environment.turns->try_take(move().group)) {
        turn.emplace(std::move(*taken));
    }
    return turn.has_value();
}

void MoveContext::note_failed_block()
{
    if (block) {
        longest_block_ms = std::max(longest_block_ms, block->milliseconds());
    }
}

QualifiedName MoveContext::copy_of(const MoveTable& table)
{
    return table_exists(recipient, table.staging) ? table.staging : table.leaf;
}

} // namespace keyshift::resharder
