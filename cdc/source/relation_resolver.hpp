#pragma once
/// Remembers for each relation of a session which captured table it is. One thread.

#include "cdc/source/schema_reader.hpp"

#include <functional>
#include <memory>
#include <unordered_map>

namespace keyshift::cdc {

class RelationResolver {
public:
    /// `fresh` re-reads the captured tables from the catalog; called for a relation that is none of those known.
    using Fresh = std::function<const CapturedTables&()>;
    RelationResolver(SchemaReader& schemas, Ownership& ownership, Fresh fresh)
        : schemas_(schemas), ownership_(ownership), fresh_(std::move(fresh))
    {
    }

    /// nullptr: not captured. The result stays valid until the relation is announced anew or forget().
    const CapturedRelation* resolve(const std::shared_ptr<const Relation>& relation, const CapturedTables& tables);
    /// The captured tables changed.
    void forget()
    {
        known_.clear();
        last_ = nullptr;
    }

private:
    struct Entry {
        std::shared_ptr<const Relation> relation;
        std::optional<CapturedRelation> captured;
    };
    std::optional<CapturedRelation> look_up(const std::shared_ptr<const Relation>& relation,
                                            const CapturedTables& tables);

    SchemaReader& schemas_;
    Ownership& ownership_;
    const Fresh fresh_;
    std::unordered_map<std::uint32_t, Entry> known_;
    const Entry* last_ = nullptr;
};

} // namespace keyshift::cdc
