#pragma once
/// Fills a copy from one snapshot of its home, so that what follows in the topics is exactly what it lacks. A copy that has
/// rows already keeps those that are as they should be: foreign keys may point at them.

#include "core/kafka/client.hpp"
#include "projections/reference/copy_state.hpp"
#include "projections/reference/copy_writer.hpp"

#include <functional>
#include <stop_token>
#include <string>

namespace keyshift::projections {

class CopyFill {
public:
    /// `waiting` hears what the fill waits for.
    CopyFill(pg::Connection& node, pg::Connection& home, const CopyOwner& owner, const ReferenceTable& table,
             std::function<void(const std::string&)> waiting);

    /// `offsets`: the ends of the table's topics now, asked for before the call: the snapshot holds all that is before them.
    CopyState run(TopicOffsets offsets, std::stop_token stop);

private:
    void wait_visible(std::stop_token stop);
    /// Rows of the snapshot into a table of this session; the state's positions from the home.
    std::string take_snapshot(CopyState& state, std::stop_token stop);
    /// in_place: rows that differ are updated. replace: they are deleted and inserted, so that two of them may have swapped
    /// a unique value.
    enum class Merge { in_place, replace };
    void merge(const CopyState& state, const std::string& snapshot, Merge how);
    /// Row by row: those that the node refuses become conflicts.
    void merge_carefully(const CopyState& state, const std::string& snapshot);
    void remove_carefully(CopyWriter& writer);
    void put_carefully(CopyWriter& writer);

    pg::Connection& node_;
    pg::Connection& home_;
    const CopyOwner& owner_;
    const ReferenceTable& table_;
    std::function<void(const std::string&)> waiting_;
};

/// No foreign key does anything with its rows when one of the table's is deleted: it may go and come back in a transaction.
bool may_replace_rows(pg::Connection& node, const QualifiedName& table);

/// Runs the change of one row in a savepoint. nullopt: done; else why the server refused it.
std::optional<std::string> try_row(pg::Connection& node, const std::function<void()>& change);

} // namespace keyshift::projections
