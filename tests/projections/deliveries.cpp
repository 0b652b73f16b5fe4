#include "tests/projections/deliveries.hpp"

#include "core/change_event.hpp"
#include "core/json.hpp"
#include "projections/commands/totals_check.hpp"
#include "projections/stored_positions.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace keyshift::test {

using projections::Rejection;
using projections::RowChange;

std::vector<kafka::Message> events_of(ProjectedCluster& cluster, const std::string& table, const std::string& id)
{
    EXPECT_TRUE(cluster.wait_until_captured());
    std::vector<kafka::Message> events;
    for (kafka::Message& message :
         read_topic(cluster.options().kafka, data_topic(cluster.options().topic_prefix, "public", table), 1)) {
        if (message.value && nlohmann::json::parse(message.key.value()).at(id) >= kFirstOfTest) {
            events.push_back(std::move(message));
        }
    }
    const auto position = [](const kafka::Message& message) {
        return SourcePosition::parse(message.header(kHeaderPosition).value()).value();
    };
    std::ranges::stable_sort(events, {}, position);
    return events;
}

std::vector<std::vector<std::size_t>> orders(std::size_t count, std::size_t most)
{
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), 0);
    std::vector<std::vector<std::size_t>> all;
    do {
        all.push_back(order);
    } while (all.size() <= most && std::ranges::next_permutation(order).found);
    if (all.size() <= most) {
        return all;
    }
    all = {all.front(), {all.front().rbegin(), all.front().rend()}};
    std::mt19937 random(7);
    while (all.size() < most) {
        std::shuffle(order.begin(), order.end(), random);
        all.push_back(order);
    }
    return all;
}

Deliveries::Deliveries(ProjectedCluster& cluster, const std::string& projection)
    : cluster_(cluster), nodes_(catalog::open_nodes(cluster.catalog(), "test")),
      record_(projections::read_projection(cluster.catalog(), projection)),
      target_(cluster.catalog().settings(), record_.definition, projections::Target::Progress::in_transaction),
      mapper_(record_.definition), writer_(std::make_unique<projections::BatchWriter>(record_.definition, target_, 0))
{
}

void Deliveries::take_over()
{
    const std::int64_t epoch = projections::take_over(target_, record_);
    projections::anchor_progress(target_, record_.definition, projections::positions(target_, record_), epoch);
    writer_ = std::make_unique<projections::BatchWriter>(record_.definition, target_, epoch);
    owns_ = true;
}

void Deliveries::deliver(const Events& events)
{
    std::vector<RowChange> rows;
    projections::Offsets progress;
    for (const kafka::Message* event : events) {
        projections::Mapped mapped = mapper_.map(*event);
        if (const auto* rejection = std::get_if<Rejection>(&mapped)) {
            ADD_FAILURE() << rejection->reason << ": " << rejection->detail;
            return;
        }
        for (RowChange& change : std::get<std::vector<RowChange>>(mapped)) {
            rows.push_back(std::move(change));
        }
        progress[{event->topic, event->partition}] = event->offset + 1;
    }
    deliver(std::move(rows), owns_ ? progress : projections::Offsets{});
}

void Deliveries::deliver(std::vector<RowChange> rows, const projections::Offsets& progress)
{
    std::vector<RowChange*> changes;
    for (RowChange& row : rows) {
        changes.push_back(&row);
    }
    writer_->write(std::move(changes), progress, {});
}

std::vector<RowChange> Deliveries::read_chunk(const std::string& condition)
{
    const projections::Definition& definition = record_.definition;
    std::string columns;
    for (const projections::BaseColumn& column : definition.base_columns) {
        columns += fmt::format("{}{}::text", columns.empty() ? "" : ", ", column.name);
    }
    pg::Connection node = cluster_.connect(0);
    const pg::Result found =
        node.query(fmt::format("SELECT {} FROM {} WHERE {}{}{}", columns, definition.base.quoted(), condition,
                               definition.condition.empty() ? "" : " AND ", definition.condition));
    std::vector<RowChange> rows(static_cast<std::size_t>(found.rows()));
    for (int row = 0; row < found.rows(); ++row) {
        for (int column = 0; column < found.columns(); ++column) {
            rows[static_cast<std::size_t>(row)].base.push_back(found.optional_text(row, column));
        }
    }
    return rows;
}

void Deliveries::clear()
{
    const projections::Definition& definition = record_.definition;
    for (catalog::OpenNode& node : nodes_) {
        node.connection->query(fmt::format("DELETE FROM {} WHERE {} >= {}", definition.table().quoted(),
                                           definition.pk_names.back(), kFirstOfTest));
        if (definition.aggregation) {
            node.connection->query(
                fmt::format("DELETE FROM {} WHERE _g1 >= {}", definition.totals().quoted(), kFirstOfTest));
        }
    }
}

std::vector<std::string> Deliveries::rows(const std::string& query)
{
    std::vector<std::string> all;
    for (catalog::OpenNode& node : nodes_) {
        const pg::Result found = node.connection->query(query);
        for (int row = 0; row < found.rows(); ++row) {
            all.emplace_back(found.text(row, 0));
        }
    }
    std::sort(all.begin(), all.end());
    return all;
}

std::int64_t Deliveries::wrong_totals()
{
    return record_.definition.aggregation ? projections::check_totals(nodes_, record_.definition).different : 0;
}

} // namespace keyshift::test
