#include "projections/stored_positions.hpp"

#include <algorithm>
#include <cstdint>

namespace keyshift::projections {

std::int64_t take_over(Target& target, const ProjectionRecord& record)
{
    const Definition& definition = record.definition;
    const std::string generation = std::to_string(definition.generation);
    std::int64_t highest = 0;
    for (const std::string& node : target.nodes()) {
        highest = std::max(highest, target.connection(node)
                                        .query("SELECT coalesce(max(owner_epoch), 0) FROM keyshift.projection_progress "
                                               "WHERE projection = $1 AND generation = $2",
                                               {definition.name, generation})
                                        .integer(0, 0));
    }
    const std::int64_t epoch = next_owner_epoch(highest, record.id);
    for (const std::string& node : target.nodes()) {
        target.connection(node).query(
            "UPDATE keyshift.projection_progress SET owner_epoch = $3 WHERE projection = $1 AND generation = $2",
            {definition.name, generation, std::to_string(epoch)});
    }
    return epoch;
}

std::int64_t position_of(const std::vector<std::optional<std::int64_t>>& nodes, std::int64_t start)
{
    std::optional<std::int64_t> least;
    for (const auto& node : nodes) {
        least = node && least ? std::min(*node, *least) : node ? node : least;
    }
    return least.value_or(start);
}

Offsets positions(Target& target, const ProjectionRecord& record)
{
    const Definition& definition = record.definition;
    Offsets positions;
    for (const auto& [topic, partitions] : record.start_offsets) {
        for (const auto& [partition, start] : partitions) {
            std::vector<std::optional<std::int64_t>> known;
            for (const std::string& node : target.nodes()) {
                const pg::Result row = target.connection(node).query(
                    "SELECT next_offset FROM keyshift.projection_progress WHERE projection = $1 AND generation = $2 AND topic = $3 AND partition = $4",
                    {definition.name, std::to_string(definition.generation), topic, std::to_string(partition)});
                known.push_back(row.rows() == 1 ? std::optional(row.integer(0, 0)) : std::nullopt);
            }
            positions[{topic, partition}] = position_of(known, start);
        }
    }
    return positions;
}

void anchor_progress(Target& target, const Definition& definition, const Offsets& positions, std::int64_t owner_epoch)
{
    for (const std::string& node : target.nodes()) {
        pg::Connection& connection = target.connection(node);
        pg::Transaction transaction(connection);
        connection.query("SET LOCAL synchronous_commit = on");
        // A drop waits for this, and takes the rows with it; behind one there is nothing to lock.
        connection.query("LOCK TABLE ONLY " + definition.table().quoted() + " IN ACCESS SHARE MODE");
        for (const auto& [partition, offset] : positions) {
            connection.query(
                "INSERT INTO keyshift.projection_progress AS p (projection, generation, topic, partition, next_offset, owner_epoch) "
                "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (projection, generation, topic, partition) "
                "DO UPDATE SET next_offset = excluded.next_offset WHERE p.owner_epoch = excluded.owner_epoch",
                {definition.name, std::to_string(definition.generation), partition.first,
                 std::to_string(partition.second), std::to_string(offset), std::to_string(owner_epoch)});
        }
        transaction.commit();
    }
}

} // namespace keyshift::projections
