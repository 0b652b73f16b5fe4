#pragma once
/// Remembers for each relation of a session which captured table it is. One thread.

#include "cdc/source/captured_form.hpp"
#include "cdc/source/schema_reader.hpp"
#include "cdc/source/schema_timeline.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace keyshift::cdc {

class RelationResolver {
public:
    /// `fresh` re-reads the captured tables from the catalog; called for a relation that is none of those known.
    using Fresh = std::function<const CapturedTables&()>;
    RelationResolver(SchemaReader& reader, SchemaTimeline& schemas, CapturedForms& forms, Ownership& ownership,
                     Fresh fresh)
        : reader_(reader), schemas_(schemas), forms_(forms), ownership_(ownership), fresh_(std::move(fresh))
    {
    }

    /// The transaction of the changes that are resolved from here on.
    void transaction(std::uint32_t xid) { xid_ = xid; }
    /// For a change or announcement at `position`. nullptr: not captured. The result stays valid until the next call or
    /// forget().
    const CapturedRelation* resolve(const std::shared_ptr<const Relation>& relation, const CapturedTables& tables,
                                    Lsn position);
    /// The same for the relation of a row change, whose enum values may show that a type has got more labels.
    const CapturedRelation* resolve(const Change& change, const CapturedTables& tables);
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
        std::unordered_set<std::string> odd_labels; ///< of no label list that was found, also not of today's
    };
    /// The first enum value of the change that its type's labels do not have.
    static const std::string_view* unknown_label(const Entry& entry, const Change& change);
    std::optional<CapturedRelation> look_up(const std::shared_ptr<const Relation>& relation,
                                            const CapturedTables& tables, bool again);

    SchemaReader& reader_;
    SchemaTimeline& schemas_;
    CapturedForms& forms_;
    Ownership& ownership_;
    const Fresh fresh_;
    std::uint32_t xid_ = 0;
    std::unordered_map<std::uint32_t, Entry> known_;
    std::unordered_map<std::uint32_t, std::shared_ptr<const Relation>> announced_; ///< newest of this session
    const Entry* last_ = nullptr;
};

} // namespace keyshift::cdc
