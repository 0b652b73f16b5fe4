#pragma once
/// The schema of a table at a WAL position. The announcement in the WAL is of that position, but it lacks the order of the
/// key, nullability, defaults and the inner parts of types. Those are in the node's catalogs as they are now, and in the
/// history as they were; whichever agrees with the announcement is taken:
///
///   today agrees, history does not (or says the same)   -> today
///   history agrees, today does not                      -> history
///   both agree, and differ (a default, FULL identity)   -> history for transactions older than the change, else today;
///                                                          today in any case behind the position at which it was read
///   neither agrees (changed twice while nobody looked)  -> today's, mended by the announcement and by history
///
/// With the default replica identity the announcement itself marks the columns of the primary key, so the key is never
/// that of another time. One thread.

#include "cdc/source/schema_history.hpp"
#include "cdc/source/schema_reader.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace keyshift::cdc {

class SchemaTimeline {
public:
    SchemaTimeline(SchemaReader& reader, SchemaHistory& history, std::string node)
        : reader_(reader), history_(history), node_(std::move(node))
    {
    }

    struct Answer {
        std::shared_ptr<const TableSchema> table;
        /// Set where history was preferred to today's look, which agrees as well: ask again for changes behind it.
        std::optional<Lsn> until;
    };
    /// `xid`: the transaction of the change. `again`: the relation was announced before in this session, so its schema
    /// may have been changed in between. `key_matters`: nobody named another message key. Throws FatalError when the key
    /// at this position matters and cannot be known.
    Answer at(const Relation& relation, const SchemaReader::Place& place, std::uint32_t xid, bool again,
              bool key_matters);
    /// Looks at each table that history does not know yet, so that it will be known what it was before its next change.
    void observe_new(const CapturedTables& tables);

private:
    struct Choice {
        TableSchema table;
        bool preferred = false; ///< today's look agrees too
    };
    Choice choose(const Relation& relation, const SchemaReader::Place& place, std::uint32_t xid, bool again,
                  bool key_matters);
    TableSchema mend(SchemaReader::Observation today, const std::vector<SchemaEdition>& editions,
                     bool key_matters) const;

    SchemaReader& reader_;
    SchemaHistory& history_;
    const std::string node_;
};

} // namespace keyshift::cdc
