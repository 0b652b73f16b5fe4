#pragma once
/// Of a history: the runner and its backfill.

#include "tests/projections/histories/history.hpp"

#include <optional>
#include <set>
#include <vector>

namespace keyshift::test {

/// A runner with its backfill; everything it knows is of its own start.
struct History::Worker {
    Worker(ModelNodes& nodes, const Record& record, std::int64_t owner)
        : id(record.id), definition(record.definition), mapper(definition.definition),
          writer(nodes, definition, owner, ModelWriter::Disk::behind),
          filler(nodes, definition, owner, ModelWriter::Disk::waits), backfilled(record.backfilled)
    {
    }

    std::int64_t id;
    ModelDefinition definition;
    projections::EventMapper mapper;
    ModelWriter writer;
    ModelWriter filler;
    Positions next{};
    std::set<int> backfilled;
    std::optional<int> bucket; ///< whose rows are being written
    std::vector<projections::RowChange> rows;
};

} // namespace keyshift::test
