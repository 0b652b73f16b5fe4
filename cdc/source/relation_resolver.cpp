#include "cdc/source/relation_resolver.hpp"

#include "core/log.hpp"

#include <algorithm>

namespace keyshift::cdc {

const CapturedRelation* RelationResolver::resolve(const std::shared_ptr<const Relation>& relation,
                                                  const CapturedTables& tables, Lsn position)
{
    if (last_ == nullptr || last_->relation != relation) {
        Entry& entry = known_[relation->oid];
        if (entry.relation != relation) {
            const auto [before, first] = announced_.try_emplace(relation->oid, relation);
            const bool again = !first && before->second != relation;
            before->second = relation;
            entry = {relation, look_up(relation, tables, again), {}};
        }
        last_ = &entry;
    }
    if (!last_->captured) {
        return nullptr;
    }
    if (last_->captured->until && position > *last_->captured->until) {
        Entry& entry = known_[relation->oid];
        entry.captured = look_up(relation, tables, true);
        last_ = &entry;
    }
    return last_->captured ? &*last_->captured : nullptr;
}

const std::string_view* RelationResolver::unknown_label(const Entry& entry, const Change& change)
{
    for (const std::size_t column : entry.captured->enums) {
        const Datum& datum = (*change.after)[column];
        if (datum.kind == Datum::Kind::text &&
            std::ranges::find(entry.captured->table->columns[column].type.enum_labels, datum.text) ==
                entry.captured->table->columns[column].type.enum_labels.end() &&
            !entry.odd_labels.contains(std::string(datum.text))) {
            return &datum.text;
        }
    }
    return nullptr;
}

const CapturedRelation* RelationResolver::resolve(const Change& change, const CapturedTables& tables)
{
    const CapturedRelation* captured = resolve(change.relation, tables, change.lsn);
    if (captured == nullptr || captured->enums.empty() || !change.after) {
        return captured;
    }
    // ALTER TYPE ... ADD VALUE changes no relation, so the WAL does not announce the table anew.
    while (const std::string_view* label = unknown_label(*last_, change)) {
        Entry& entry = known_[change.relation->oid];
        entry.odd_labels.emplace(*label);
        entry.captured = look_up(change.relation, tables, true);
        if (!entry.captured) {
            return nullptr;
        }
    }
    return &*last_->captured;
}

std::optional<CapturedRelation> RelationResolver::look_up(const std::shared_ptr<const Relation>& relation,
                                                          const CapturedTables& tables, bool again)
{
    const CapturedTables* known = &tables;
    auto place = reader_.locate(*relation, *known);
    // Not distributed any more, by the WAL: its epoch was raised in the catalog before.
    if (!place || (place->group.empty() && !known->with_number(place->table_id).group.empty())) {
        known = &fresh_();
        place = reader_.locate(*relation, *known);
    }
    if (!place) {
        if (relation->name.schema != "keyshift") {
            log::warning("cdc",
                         "changes of {} are published, but no captured table of the catalog has them: they are left "
                         "out. `keyshift table capture` takes it in, with the rows it has",
                         relation->name.to_string());
        }
        return std::nullopt;
    }
    CapturedRelation captured;
    captured.relation = relation;
    const CaptureOptions& options = known->options_of(place->table_id);
    SchemaTimeline::Answer answer = schemas_.at(*relation, *place, xid_, again, options.key.empty());
    captured.table = forms_.of(answer.table, options);
    captured.until = answer.until;
    for (std::size_t column = 0; column < captured.table->columns.size(); ++column) {
        if (!captured.table->columns[column].type.enum_labels.empty()) {
            captured.enums.push_back(column);
        }
    }
    captured.plain_epoch = known->with_number(place->table_id).epoch;
    captured.group = place->group;
    captured.bucket = place->bucket;
    captured.ownership = place->group.empty() ? nullptr : &ownership_.bucket(place->group, place->bucket);
    return captured;
}

} // namespace keyshift::cdc
