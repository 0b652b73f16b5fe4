#pragma once
/// Whether the base table's columns are still those that a definition was made from, whoever changed them on the nodes. Events do
/// not carry types: a look after a batch of events was read, and before it is written, tells what they were made with. One thread.

#include "core/error.hpp"
#include "projections/projection_record.hpp"
#include "projections/renamed_columns.hpp"
#include "projections/target.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>

namespace keyshift::projections {

/// A projected column is gone or of another type: only the rows themselves tell what they are now.
struct BaseDiffers {
    ErrorParts why;
};
/// A column is called otherwise on some of the nodes, and not yet on the others.
struct BaseChanging {
    ErrorParts why;
};
/// monostate: nothing that concerns the projection. Renames: the same ones on every node.
using BaseLook = std::variant<std::monostate, Renames, BaseChanging, BaseDiffers>;

class BaseWatch {
public:
    /// Both outlive it.
    BaseWatch(const ProjectionRecord& record, Target& target);

    /// On every node that has the table.
    BaseLook look();
    /// On those of them that events came from.
    BaseLook look(const std::set<std::string>& nodes);

private:
    struct Column {
        std::string name;
        std::string type;
    };
    /// Columns by their number, which they keep under another name, of one table.
    struct Columns {
        std::int64_t table = 0; ///< OID
        std::map<std::int64_t, Column> by_number;

        std::optional<std::int64_t> find(const std::string& name) const;
    };
    using Renamed = std::map<std::string, Renames>; ///< by node

    static Columns columns_of(const std::string& seen);
    std::optional<std::string> read(const std::string& node);
    std::set<std::string> base_nodes();
    BaseLook compare();
    /// Why it cannot be followed; empty: it can, or there is nothing to follow.
    std::string compare_column(const std::string& node, const BaseColumn& column, const Columns& present,
                               Renamed& renamed) const;
    std::string compare_renamed(const std::string& node, const BaseColumn& column, const Column& present,
                                Renamed& renamed) const;
    BaseLook follow(const Renamed& renamed, const std::map<std::string, std::string>& seen) const;
    bool was_known(const std::string& name) const;
    void remember(std::map<std::string, std::string> seen);
    ErrorParts parts(std::string why, std::string next) const;

    const ProjectionRecord& record_;
    Target& target_;
    std::set<std::string> nodes_;
    std::map<std::string, std::string> seen_; ///< by node: its columns when all was as defined; kept in the catalog
    std::map<std::string, Columns> remembered_;
};

/// What a runner does then.
enum class Goes { on, anew, nowhere };
/// Writes it to the catalog: pauses, or renames in the definition. Throws TransientError where it is changing.
Goes settle_base(pg::Connection& catalog, const ProjectionRecord& record, const BaseLook& look);

} // namespace keyshift::projections
