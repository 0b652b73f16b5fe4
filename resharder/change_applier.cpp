#include "resharder/change_applier.hpp"

#include "core/error.hpp"
#include "resharder/apply_statement.hpp"

#include <algorithm>
#include <functional>

namespace keyshift::resharder {

namespace {

constexpr std::size_t kRunBytes = 1U << 20U;

std::string joined(const std::vector<std::optional<std::string>>& values)
{
    std::string key;
    for (const auto& value : values) {
        key += value ? std::to_string(value->size()) + ":" + *value : "-";
    }
    return key;
}

std::optional<std::string> value_of(const cdc::OwnedDatum& datum)
{
    return datum.kind == cdc::Datum::Kind::text ? std::optional(datum.text) : std::nullopt;
}

} // namespace

ChangeApplier::ChangeApplier(pg::Connection& recipient, std::vector<ApplyTarget> targets, bool strict_order,
                             std::size_t rows_a_statement)
    : recipient_(recipient), strict_order_(strict_order), rows_a_statement_(rows_a_statement)
{
    for (ApplyTarget& place : targets) {
        Target target;
        for (std::size_t i = 0; i < place.table->columns.size(); ++i) {
            target.column[place.table->columns[i].name] = i;
        }
        target.place = std::move(place);
        targets_.push_back(std::move(target));
    }
}

ChangeApplier::Target& ChangeApplier::target_of(const cdc::Relation& relation)
{
    const auto found = std::find_if(targets_.begin(), targets_.end(),
                                    [&](const Target& target) { return target.place.table->leaf == relation.name; });
    if (found == targets_.end()) {
        throw FatalError({"applying a change of " + relation.name.to_string(), "the table is not part of the move",
                          "cancel the job, then plan again"});
    }
    return *found;
}

ChangeApplier::Row ChangeApplier::row_of(const Target& target, const cdc::OwnedChange& change) const
{
    const MoveTable& table = *target.place.table;
    const auto& columns = change.relation->columns;
    const auto in_identity = [&](const std::string& name) {
        return std::any_of(columns.begin(), columns.end(),
                           [&](const cdc::RelationColumn& column) { return column.identity && column.name == name; });
    };
    const bool by_primary_key = std::all_of(table.primary_key.begin(), table.primary_key.end(), in_identity);
    const auto finds_row = [&](const cdc::RelationColumn& column) {
        return by_primary_key ? std::count(table.primary_key.begin(), table.primary_key.end(), column.name) > 0
                              : column.identity;
    };
    const auto& old = change.before ? change.before : change.after;
    Row row;
    for (std::size_t i = 0; i < columns.size(); ++i) {
        const auto known = target.column.find(columns[i].name);
        if (known == target.column.end()) {
            continue; // generated on the recipient
        }
        if (finds_row(columns[i])) {
            row.by.push_back(known->second);
            row.found_by.push_back(value_of(old->at(i)));
        }
        const bool settable = change.kind == cdc::ChangeKind::insert || !table.columns[known->second].always_identity;
        if (change.after && settable && change.after->at(i).kind != cdc::Datum::Kind::unchanged_toast) {
            row.set.push_back(known->second);
            row.written.push_back(value_of(change.after->at(i)));
        }
    }
    return row;
}

void ChangeApplier::add(const cdc::OwnedChange& change)
{
    Target& target = target_of(*change.relation);
    if (strict_order_) {
        for (Target& other : targets_) {
            if (&other != &target) {
                run(other);
            }
        }
    }
    if (change.kind == cdc::ChangeKind::truncate) {
        truncate(target);
        return;
    }
    append(target, change, row_of(target, change));
}

void ChangeApplier::append(Target& target, const cdc::OwnedChange& change, const Row& row)
{
    std::set<std::string> keys{joined(row.found_by)};
    if (change.kind == cdc::ChangeKind::update) {
        Values after;
        for (const std::size_t column : row.by) {
            const auto place = std::find(row.set.begin(), row.set.end(), column);
            after.push_back(place == row.set.end() ? row.found_by[static_cast<std::size_t>(&column - row.by.data())]
                                                   : row.written[static_cast<std::size_t>(place - row.set.begin())]);
        }
        keys.insert(joined(after));
    }
    const bool keyed = change.kind != cdc::ChangeKind::insert;
    Run& pending = target.run;
    const bool fits =
        pending.rows > 0 && pending.kind == change.kind && pending.set == row.set && (!keyed || pending.by == row.by) &&
        pending.rows < rows_a_statement_ && pending.bytes < kRunBytes &&
        std::none_of(keys.begin(), keys.end(), [&](const std::string& key) { return pending.keys.contains(key); });
    if (!fits) {
        run(target);
        pending.kind = change.kind;
        pending.set = change.kind == cdc::ChangeKind::remove ? std::vector<std::size_t>() : row.set;
        pending.by = keyed ? row.by : std::vector<std::size_t>();
        pending.arrays.assign(pending.by.size() + pending.set.size(), "{");
    }
    std::size_t array = 0;
    const auto put = [&](const std::optional<std::string>& value) {
        append_element(pending.arrays[array++], value);
        pending.bytes += value ? value->size() : 1;
    };
    if (keyed) {
        std::for_each(row.found_by.begin(), row.found_by.end(), put);
    }
    if (change.kind != cdc::ChangeKind::remove) {
        std::for_each(row.written.begin(), row.written.end(), put);
    }
    pending.keys.merge(keys);
    ++pending.rows;
}

void ChangeApplier::run(Target& target)
{
    Run pending = std::exchange(target.run, Run{});
    if (pending.rows == 0 || (pending.kind == cdc::ChangeKind::update && pending.set.empty())) {
        return;
    }
    const std::string sql =
        apply_statement(pending.kind, target.place.quoted, *target.place.table, pending.by, pending.set);
    std::vector<pg::Parameter> parameters;
    for (std::string& array : pending.arrays) {
        array += '}';
        parameters.emplace_back(array);
    }
    const auto result =
        recipient_.run_prepared("apply_" + std::to_string(std::hash<std::string>{}(sql)), sql, parameters);
    // With live foreign keys a cascade may have been here first; otherwise every change must find its row.
    if (!strict_order_ && result.affected() != static_cast<std::int64_t>(pending.rows)) {
        throw FatalError({"applying changes to " + target.place.table->leaf.to_string(),
                          "only " + std::to_string(result.affected()) + " of " + std::to_string(pending.rows) +
                              " rows were found on the recipient",
                          "the copy differs from the donor: the move is taken back; start it again"});
    }
}

void ChangeApplier::truncate(Target& target)
{
    target.run = Run{};
    recipient_.query("DELETE FROM ONLY " + target.place.quoted); // TRUNCATE is refused where a foreign key points at it
}

void ChangeApplier::flush()
{
    for (Target& target : targets_) {
        run(target);
    }
}

} // namespace keyshift::resharder
