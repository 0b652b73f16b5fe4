#include "cdc/source/relation_resolver.hpp"

namespace keyshift::cdc {

const CapturedRelation* RelationResolver::resolve(const std::shared_ptr<const Relation>& relation,
                                                  const CapturedTables& tables)
{
    if (last_ == nullptr || last_->relation != relation) {
        Entry& entry = known_[relation->oid];
        if (entry.relation != relation) {
            entry = {relation, look_up(relation, tables)};
        }
        last_ = &entry;
    }
    return last_->captured ? &*last_->captured : nullptr;
}

std::optional<CapturedRelation> RelationResolver::look_up(const std::shared_ptr<const Relation>& relation,
                                                          const CapturedTables& tables)
{
    auto place = schemas_.locate(*relation, tables);
    if (!place) {
        place = schemas_.locate(*relation, fresh_());
    }
    if (!place) {
        return std::nullopt;
    }
    CapturedRelation captured;
    captured.relation = relation;
    captured.table = schemas_.read(*relation, place->root);
    captured.group = place->group;
    captured.bucket = place->bucket;
    captured.ownership = place->group.empty() ? nullptr : &ownership_.bucket(place->group, place->bucket);
    return captured;
}

} // namespace keyshift::cdc
