#include "projections/reference/reference_service.hpp"

#include "core/backoff.hpp"
#include "core/json.hpp"
#include "core/log.hpp"
#include "projections/reference/reference_keeper.hpp"

#include <fmt/core.h>

#include <atomic>
#include <map>
#include <thread>

namespace keyshift::projections {

using namespace std::chrono_literals;

namespace {

/// Copies of one node of one home's tables.
struct Duty {
    catalog::Node node;
    catalog::Node home;
    std::vector<catalog::CapturedTable> tables;

    /// Another one: the thread begins anew.
    std::string signature() const
    {
        std::string text = fmt::format("{}|{}|{}|{}", node.dsn, node.password_file, home.dsn, home.password_file);
        for (const catalog::CapturedTable& table : tables) {
            text += fmt::format("|{} {}", table.id, table.name.quoted());
        }
        return text;
    }
};

} // namespace

struct ReferenceService::State {
    pg::ConnectionSettings catalog;
    ProjectionOptions options;
    metrics::ReferenceMetrics& metrics;
    struct Running {
        std::string signature;
        std::jthread thread;
    };
    std::map<std::pair<std::string, std::string>, Running> keepers; ///< by node and home

    void keep(const Duty& duty, std::stop_token stop) noexcept;
    void note(const Duty& duty, const Error& error) noexcept;
    void refresh(pg::Connection& connection);
};

/// What keeps the copies from being kept. Their state is what it was.
void ReferenceService::State::note(const Duty& duty, const Error& error) noexcept
{
    try {
        pg::Connection connection(catalog);
        const ErrorParts& parts = error.parts();
        const std::string json = nlohmann::json({{"what", parts.what}, {"why", parts.why}, {"next", parts.next}})
                                     .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
        for (const catalog::CapturedTable& table : duty.tables) {
            connection.query("INSERT INTO keyshift.reference_copy (table_id, node, error) SELECT id, $2, $3::jsonb "
                             "FROM keyshift.captured_table WHERE id = $1::bigint "
                             "ON CONFLICT (table_id, node) DO UPDATE SET error = excluded.error",
                             {std::to_string(table.id), duty.node.name, json});
        }
    } catch (const std::exception& again) {
        log::warning("references", "node={} error not stored: {}", duty.node.name, again.what());
    }
}

void ReferenceService::State::keep(const Duty& duty, std::stop_token stop) noexcept
{
    Backoff backoff(100ms, 5s);
    std::string said;
    while (!stop.stop_requested()) {
        const auto began = std::chrono::steady_clock::now();
        try {
            ReferenceKeeper(catalog, options, metrics, duty.node.name, duty.tables, stop).run();
            said.clear();
        } catch (const Error& error) {
            if (stop.stop_requested()) {
                return;
            }
            if (said != error.what()) {
                said = error.what();
                log::warning("references", "node={} home={} tried again: {}", duty.node.name, duty.home.name, said);
            }
            note(duty, error);
        } catch (const std::exception& error) {
            log::error("references", "node={} home={} a fault of the program: {}", duty.node.name, duty.home.name,
                       error.what());
        }
        if (std::chrono::steady_clock::now() - began > 10s) {
            backoff.reset();
        }
        backoff.wait(stop);
    }
}

void ReferenceService::State::refresh(pg::Connection& connection)
{
    std::map<std::string, catalog::Node> nodes;
    for (catalog::Node& node : catalog::nodes(connection)) {
        if (node.state == "active" || node.state == "draining") {
            nodes.emplace(node.name, node);
        }
    }
    std::map<std::pair<std::string, std::string>, Duty> wanted;
    for (const catalog::CapturedTable& table : catalog::tables(connection)) {
        const auto home = nodes.find(table.node);
        for (const auto& [name, node] : nodes) {
            if (table.reference && home != nodes.end() && name != table.node) {
                Duty& duty = wanted[{name, table.node}];
                duty.node = node;
                duty.home = home->second;
                duty.tables.push_back(table);
            }
        }
    }
    std::erase_if(keepers, [&](const auto& keeper) {
        const auto found = wanted.find(keeper.first);
        return found == wanted.end() || found->second.signature() != keeper.second.signature;
    });
    for (const auto& [key, duty] : wanted) {
        if (!keepers.contains(key)) {
            keepers[key] = {duty.signature(),
                            std::jthread([this, duty = duty](std::stop_token stop) { keep(duty, std::move(stop)); })};
        }
    }
}

ReferenceService::ReferenceService(pg::ConnectionSettings catalog, ProjectionOptions options,
                                   metrics::ReferenceMetrics& metrics)
    : state_(std::make_unique<State>(State{std::move(catalog), std::move(options), metrics, {}}))
{
}

ReferenceService::~ReferenceService() = default;

void ReferenceService::run(std::stop_token stop)
{
    pg::Connection connection(state_->catalog);
    connection.query("LISTEN keyshift_catalog");
    while (!stop.stop_requested()) {
        state_->refresh(connection);
        connection.wait_notify(1s, stop);
    }
    state_->keepers.clear();
}

} // namespace keyshift::projections
