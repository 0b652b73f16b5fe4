#include "projections/computed_keys.hpp"

#include "catalog/catalog.hpp"
#include "core/error.hpp"
#include "projections/column_arrays.hpp"
#include "projections/rejection_log.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keyshift::projections {

namespace {

/// The expressions over rows whose columns come as one array each, in their order.
std::string key_query(const Definition& definition, const std::vector<std::size_t>& computed,
                      const std::vector<std::size_t>& sources)
{
    std::vector<std::string> values;
    for (const std::size_t column : computed) {
        values.push_back(text_of(definition.base_columns[column]));
    }
    std::vector<std::string> typed;
    std::vector<std::string> arrays;
    std::vector<std::string> names;
    for (const std::size_t source : sources) {
        const BaseColumn& column = definition.base_columns[source];
        typed.push_back(fmt::format("c{}::{} AS {}", source, column.type, quote_identifier(column.name)));
        arrays.push_back(fmt::format("${}::text[]", arrays.size() + 1));
        names.push_back(fmt::format("c{}", source));
    }
    return fmt::format(
        "SELECT {} FROM (SELECT {}, _ks_n FROM unnest({}) WITH ORDINALITY AS u({}, _ks_n)) AS {} ORDER BY _ks_n",
        fmt::join(values, ", "), fmt::join(typed, ", "), fmt::join(arrays, ", "), fmt::join(names, ", "),
        quote_identifier(definition.alias));
}

} // namespace

ComputedKeys::ComputedKeys(pg::ConnectionSettings catalog, const Definition& definition)
    : catalog_(std::move(catalog)), definition_(definition)
{
    for (std::size_t at = 0; at < definition.base_columns.size(); ++at) {
        if (definition.base_columns[at].computed.empty()) {
            continue;
        }
        columns_.push_back(at);
        for (const std::string& name : definition.base_columns[at].computed_from) {
            const std::size_t source = definition.base_column(name);
            if (std::find(sources_.begin(), sources_.end(), source) == sources_.end()) {
                sources_.push_back(source);
            }
        }
    }
    query_ = any() ? key_query(definition, columns_, sources_) : "";
}

pg::Connection& ComputedKeys::connection()
{
    if (!connection_) {
        pg::Connection catalog(catalog_);
        const std::vector<catalog::Node> nodes = catalog::nodes(catalog);
        const auto node =
            std::find_if(nodes.begin(), nodes.end(), [](const catalog::Node& one) { return one.state == "active"; });
        if (node == nodes.end()) {
            throw TransientError(
                {"computing keys of projection " + definition_.name, "no node is active", "It is tried again."});
        }
        connection_ = std::make_unique<pg::Connection>(node->connection("projection keys"));
        connection_->query("SET jit = off");
    }
    return *connection_;
}

void ComputedKeys::compute(std::vector<RowToKey>& rows)
{
    try {
        compute(std::span(rows));
    } catch (...) {
        connection_.reset();
        throw;
    }
}

/// Halves find the row that an expression fails for.
void ComputedKeys::compute(std::span<RowToKey> rows)
{
    if (rows.empty() || !any()) {
        return;
    }
    try {
        ask(rows);
    } catch (const pg::SqlError& error) {
        if (!blames_the_row(error.sqlstate())) {
            throw;
        }
        if (rows.size() == 1) {
            settle_fault(rows.front(), error.parts().why);
            return;
        }
        compute(rows.first(rows.size() / 2));
        compute(rows.subspan(rows.size() / 2));
    }
}

void ComputedKeys::ask(std::span<RowToKey> rows)
{
    ColumnArrays arrays;
    std::vector<const std::string*> values(rows.size());
    for (const std::size_t source : sources_) {
        for (std::size_t at = 0; at < rows.size(); ++at) {
            const auto& value = (*rows[at].row)[source];
            values[at] = value ? &*value : nullptr;
        }
        arrays.add_texts(values);
    }
    const pg::Result keys = connection().run_prepared("projection_keys", query_, arrays.parameters());
    for (std::size_t at = 0; at < rows.size(); ++at) {
        for (std::size_t column = 0; column < columns_.size(); ++column) {
            (*rows[at].row)[columns_[column]] = keys.optional_text(static_cast<int>(at), static_cast<int>(column));
        }
    }
    for (RowToKey& row : rows) {
        const bool none = std::any_of(columns_.begin(), columns_.end(),
                                      [&](std::size_t column) { return !(*row.row)[column].has_value(); });
        row.nowhere = none && row.complete && !definition_.skip_null && !is_taken(*row.row);
    }
}

void ComputedKeys::settle_fault(RowToKey& row, const std::string& why)
{
    if (row.complete && !is_taken(*row.row)) {
        row.nowhere = true;
    } else {
        row.fault = why;
    }
}

bool ComputedKeys::is_taken(const BaseRow& row)
{
    if (definition_.condition.empty()) {
        return true;
    }
    std::vector<std::string> typed;
    std::vector<pg::Parameter> parameters;
    for (std::size_t at = 0; at < definition_.base_columns.size(); ++at) {
        const BaseColumn& column = definition_.base_columns[at];
        if (column.computed.empty()) {
            parameters.emplace_back(row[at]);
            typed.push_back(
                fmt::format("${}::text::{} AS {}", parameters.size(), column.type, quote_identifier(column.name)));
        }
    }
    try {
        return connection()
            .query(fmt::format("SELECT coalesce(({}), false) FROM (SELECT {}) AS {}", definition_.condition,
                               fmt::join(typed, ", "), quote_identifier(definition_.alias)),
                   parameters)
            .boolean(0, 0);
    } catch (const pg::SqlError& error) {
        if (!blames_the_row(error.sqlstate())) {
            throw;
        }
        return true;
    }
}

} // namespace keyshift::projections
