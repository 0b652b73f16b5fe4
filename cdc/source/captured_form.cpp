#include "cdc/source/captured_form.hpp"

#include "core/error.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace keyshift::cdc {

namespace {

bool has(const std::vector<std::string>& names, const std::string& name)
{
    return std::ranges::find(names, name) != names.end();
}

/// A renamed column must not lose its mask: nothing in the WAL says that two names are one column.
void refuse_lost_guard(const TableSchema& table, const CaptureOptions& options)
{
    const std::vector<std::string> guarded = options.guarded();
    const auto gone = std::ranges::find_if(guarded, [&](const std::string& name) {
        return std::ranges::find(table.columns, name, &ColumnSchema::name) == table.columns.end();
    });
    const auto strange = std::ranges::find_if(table.columns, [&](const ColumnSchema& column) {
        return !has(options.columns, column.name) && !has(guarded, column.name);
    });
    if (gone == guarded.end() || strange == table.columns.end()) {
        return;
    }
    throw FatalError(
        {"capturing " + table.root.to_string(),
         fmt::format("column {}, whose values are to be kept from events, is gone, and column {} is new: they "
                     "may be the same under another name",
                     *gone, strange->name),
         fmt::format("Where it was renamed, give `keyshift table capture {}` the options for both names; the "
                     "one that the table lacks also in --former-columns.",
                     table.root.to_string())});
}

} // namespace

std::shared_ptr<const TableSchema> CapturedForms::of(const std::shared_ptr<const TableSchema>& table,
                                                     const CaptureOptions& options)
{
    if (options == CaptureOptions{}) {
        return table;
    }
    Form& form = latest_[table->root];
    if (form.table == nullptr || form.version != table->version || form.table->capture != options) {
        refuse_lost_guard(*table, options);
        auto made = std::make_shared<TableSchema>(*table);
        made->capture = options;
        made->version = ++versions_;
        form = {table->version, std::move(made)};
    }
    return form.table;
}

} // namespace keyshift::cdc
