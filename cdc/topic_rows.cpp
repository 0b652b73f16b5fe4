#include "cdc/topic_rows.hpp"

namespace keyshift::cdc {

void read_topic_rows(pg::Connection& catalog, PartitionCounts& counts)
{
    const pg::Result rows = catalog.query("SELECT name, partitions FROM keyshift.topic");
    PartitionCounts::Counts kept;
    for (int row = 0; row < rows.rows(); ++row) {
        kept.emplace(rows.text(row, 0), static_cast<int>(rows.integer(row, 1)));
    }
    counts.load(std::move(kept));
}

void write_topic_rows(pg::Connection& catalog, PartitionCounts& counts)
{
    const PartitionCounts::Counts unsaved = counts.unsaved();
    for (const auto& [topic, partitions] : unsaved) {
        catalog.query("INSERT INTO keyshift.topic (name, partitions) VALUES ($1, $2::int) ON CONFLICT DO NOTHING",
                      {topic, std::to_string(partitions)});
    }
    counts.saved(unsaved);
}

} // namespace keyshift::cdc
