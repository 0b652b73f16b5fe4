#include "cdc/source/schema_timeline.hpp"

#include "cdc/source/schema_look.hpp"
#include "core/error.hpp"
#include "core/log.hpp"

#include <algorithm>
#include <optional>
#include <set>

namespace keyshift::cdc {

namespace {

std::vector<std::string> names_of_key(const TableSchema& table)
{
    std::vector<std::string> names;
    for (const std::size_t column : table.key) {
        names.push_back(table.columns[column].name);
    }
    return names;
}

/// The columns of these names; nullopt: one is not there, or there are none.
std::optional<std::vector<std::size_t>> columns_named(const TableSchema& table, const std::vector<std::string>& names)
{
    std::vector<std::size_t> columns;
    for (const std::string& name : names) {
        const auto column = std::ranges::find(table.columns, name, &ColumnSchema::name);
        if (column == table.columns.end()) {
            return std::nullopt;
        }
        columns.push_back(static_cast<std::size_t>(column - table.columns.begin()));
    }
    return columns.empty() ? std::nullopt : std::optional(columns);
}

/// The columns that a default replica identity marks: those of the primary key, in no order of their own.
std::set<std::size_t> marked(const TableSchema& table)
{
    std::set<std::size_t> columns;
    for (std::size_t column = 0; table.identity == 'd' && column < table.columns.size(); ++column) {
        if (table.columns[column].identity) {
            columns.insert(column);
        }
    }
    return columns;
}

bool agrees(const std::vector<std::size_t>& key, const std::set<std::size_t>& marks)
{
    return marks.empty() || std::set<std::size_t>(key.begin(), key.end()) == marks;
}

void mend_columns(TableSchema& table, const std::vector<bool>& known, const std::vector<SchemaEdition>& editions)
{
    for (std::size_t at = 0; at < table.columns.size(); ++at) {
        ColumnSchema& column = table.columns[at];
        for (auto edition = editions.rbegin(); edition != editions.rend(); ++edition) {
            const std::vector<ColumnSchema>& then = edition->table->columns;
            const auto same_type =
                std::ranges::find(then, column.type.oid, [](const ColumnSchema& one) { return one.type.oid; });
            if (column.type.kind == TypeSchema::kDropped && same_type != then.end()) {
                column.type = same_type->type;
            }
            const auto same_name = std::ranges::find(then, column.name, &ColumnSchema::name);
            if (!known[at] && same_name != then.end()) {
                column.not_null = same_name->not_null;
                column.has_default = same_name->has_default;
                column.default_literal = same_name->default_literal;
                column.default_call = same_name->default_call;
                break;
            }
        }
    }
}

/// A key that agrees with the announcement: today's, one of history's, or the marked columns in the table's order.
std::optional<std::vector<std::size_t>> mended_key(const SchemaReader::Observation& today,
                                                   const std::vector<SchemaEdition>& editions)
{
    const TableSchema& table = today.table;
    const std::set<std::size_t> marks = marked(table);
    if (today.key_complete && agrees(table.key, marks)) {
        return table.key;
    }
    for (auto edition = editions.rbegin(); edition != editions.rend(); ++edition) {
        const auto key = columns_named(table, names_of_key(*edition->table));
        if (key && agrees(*key, marks)) {
            return key;
        }
    }
    return marks.empty() ? std::nullopt : std::optional(std::vector<std::size_t>(marks.begin(), marks.end()));
}

[[noreturn]] void fail_unknown_key(const QualifiedName& table, const std::string& node)
{
    throw FatalError({"capturing " + table.to_string() + " on " + node,
                      "its key was changed more than once while the stream was behind, and what it was when these rows "
                      "were written is known no more",
                      "Name the key that holds from here on with `keyshift table capture " + table.to_string() +
                          " --key COLUMNS`; the stream then goes on by itself."});
}

} // namespace

SchemaTimeline::Answer SchemaTimeline::at(const Relation& relation, const SchemaReader::Place& place, std::uint32_t xid,
                                          bool again, bool key_matters)
{
    Choice choice = choose(relation, place, xid, again, key_matters);
    check_identity(relation, choice.table, node_);
    Answer answer{reader_.share(std::move(choice.table)), std::nullopt};
    if (choice.preferred) {
        answer.until = reader_.present_position();
    }
    return answer;
}

SchemaTimeline::Choice SchemaTimeline::choose(const Relation& relation, const SchemaReader::Place& place,
                                              std::uint32_t xid, bool again, bool key_matters)
{
    SchemaReader::Observation today = reader_.observe(relation, place.root);
    const std::vector<SchemaEdition> editions = history_.editions(place.table_id);
    const auto past = std::find_if(editions.rbegin(), editions.rend(),
                                   [&](const SchemaEdition& edition) { return fits(*edition.table, relation); });
    std::optional<TableSchema> then;
    if (past != editions.rend()) {
        then = *past->table;
        then->root = place.root;
        then->version = 0;
    }
    if (!today.same) {
        return {then ? std::move(*then) : mend(std::move(today), editions, key_matters), false};
    }
    if (then && same_schema(*then, today.table)) {
        return {std::move(*then), false};
    }
    if (then && !again) {
        // What was only taken away leaves no trace of when.
        const bool more = precedes(past->changed_by, today.changed_by);
        if (!more || precedes(xid, today.changed_by)) {
            return {std::move(*then), true};
        }
    }
    history_.add(place.table_id, {std::make_shared<const TableSchema>(today.table), today.changed_by});
    return {std::move(today.table), false};
}

TableSchema SchemaTimeline::mend(SchemaReader::Observation today, const std::vector<SchemaEdition>& editions,
                                 bool key_matters) const
{
    log::info(
        "cdc",
        "node={} {} has changed since these rows were written: its schema then is put together from what is known",
        node_, today.table.root.to_string());
    const auto key = mended_key(today, editions);
    if (!key && key_matters) {
        fail_unknown_key(today.table.root, node_);
    }
    mend_columns(today.table, today.known, editions);
    today.table.key = key.value_or(std::vector<std::size_t>());
    return std::move(today.table);
}

void SchemaTimeline::observe_new(const CapturedTables& tables)
{
    for (const auto& [root, table] : tables.by_name) {
        if (!history_.editions(table.id).empty()) {
            continue;
        }
        if (const std::shared_ptr<const Relation> relation = reader_.describe(root)) {
            const SchemaReader::Observation today = reader_.observe(*relation, root);
            history_.add(table.id, {std::make_shared<const TableSchema>(today.table), today.changed_by});
        }
    }
}

} // namespace keyshift::cdc
