#include "projections/whole_table.hpp"

#include "core/error.hpp"
#include "projections/commands/projection_table.hpp"

namespace keyshift::projections {

void make_missing_tables(pg::Connection& catalog, Target& target, const ProjectionRecord& record)
{
    if (!record.definition.everywhere) {
        return;
    }
    // `projection drop` changes this row before it removes anything.
    pg::Transaction transaction(catalog);
    if (catalog
            .query("SELECT FROM keyshift.projection WHERE id = $1 AND wanted <> 'drop' FOR SHARE",
                   {std::to_string(record.id)})
            .rows() == 0) {
        throw RefusedError({"projection " + record.definition.name, "it was dropped", "Nothing is left to be done."});
    }
    for (const std::string& node : target.nodes()) {
        make_where_missing(target.connection(node), record.definition);
    }
    transaction.commit();
}

std::set<std::string> unfilled_nodes(const Target& target, const ProjectionRecord& record)
{
    std::set<std::string> unfilled;
    for (const std::string& node : record.definition.everywhere ? target.nodes() : std::vector<std::string>{}) {
        if (!record.filled_nodes.contains(node)) {
            unfilled.insert(node);
        }
    }
    return unfilled;
}

bool has_other_nodes(Target& target)
{
    if (!target.definition().everywhere) {
        return false; // rows of a bucket that has moved to a node are refused by the old one, and that is seen
    }
    const std::vector<std::string> before = target.nodes();
    target.reload();
    return target.nodes() != before;
}

} // namespace keyshift::projections
