#include "projections/stored_positions.hpp"

#include <algorithm>
#include <cstdint>

namespace keyshift::projections {

std::int64_t take_over(Target& target, const Definition& definition)
{
    const std::string generation = std::to_string(definition.generation);
    std::int64_t highest = 0;
    for (const std::string& node : target.nodes()) {
        highest = std::max(highest, target.connection(node)
                                        .query("SELECT coalesce(max(owner_epoch), 0) FROM keyshift.projection_progress "
                                               "WHERE projection = $1 AND generation = $2",
                                               {definition.name, generation})
                                        .integer(0, 0));
    }
    for (const std::string& node : target.nodes()) {
        target.connection(node).query(
            "UPDATE keyshift.projection_progress SET owner_epoch = $3 WHERE projection = $1 AND generation = $2",
            {definition.name, generation, std::to_string(highest + 1)});
    }
    return highest + 1;
}

Offsets positions(Target& target, const ProjectionRecord& record)
{
    const Definition& definition = record.definition;
    Offsets positions;
    for (const auto& [topic, partitions] : record.start_offsets) {
        for (const auto& [partition, start] : partitions) {
            std::int64_t least = INT64_MAX;
            for (const std::string& node : target.nodes()) {
                const pg::Result row = target.connection(node).query(
                    "SELECT next_offset FROM keyshift.projection_progress WHERE projection = $1 AND generation = $2 AND topic = $3 AND partition = $4",
                    {definition.name, std::to_string(definition.generation), topic, std::to_string(partition)});
                if (row.rows() == 1) {
                    least = std::min(least, row.integer(0, 0));
                }
            }
            positions[{topic, partition}] = least == INT64_MAX ? start : least;
        }
    }
    return positions;
}

void anchor_progress(Target& target, const Definition& definition, const Offsets& positions, std::int64_t owner_epoch)
{
    for (const std::string& node : target.nodes()) {
        for (const auto& [partition, offset] : positions) {
            target.connection(node).query(
                "INSERT INTO keyshift.projection_progress (projection, generation, topic, partition, next_offset, owner_epoch) "
                "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
                {definition.name, std::to_string(definition.generation), partition.first,
                 std::to_string(partition.second), std::to_string(offset), std::to_string(owner_epoch)});
        }
    }
}

} // namespace keyshift::projections
