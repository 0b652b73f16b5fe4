#include "demo/reads.hpp"

#include "demo/screen.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <random>

namespace keyshift::demo {

namespace {

using Clock = std::chrono::steady_clock;
using Nodes = std::map<std::string, pg::Connection>;

constexpr const char* kBaseQuery =
    "SELECT user_id, interaction_id, post_id, interaction_type, content FROM public.interactions WHERE user_id = $1";
constexpr const char* kProjectionQuery =
    "SELECT user_id, interaction_id, post_id, interaction_type, content FROM public.user_interactions WHERE user_id = $1";

Nodes connect(const Settings& settings, const std::vector<std::string>& names)
{
    Nodes nodes;
    for (const std::string& name : names) {
        nodes.emplace(name, pg::Connection(settings.connection(name, "demo reads")));
    }
    return nodes;
}

std::vector<std::string> some_users(Nodes& nodes, std::size_t count)
{
    std::vector<std::string> users;
    const pg::Result rows = nodes.begin()->second.query(
        "SELECT user_id FROM public.users ORDER BY pg_catalog.md5(user_id::text) LIMIT $1", {std::to_string(count)});
    for (int row = 0; row < rows.rows(); ++row) {
        users.emplace_back(rows.text(row, 0));
    }
    return users;
}

/// One way of reading: asks `ask` for each user and adds a row to the table.
template <typename Ask>
void measure(const std::string& how, const std::vector<std::string>& users, Ask ask,
             std::vector<std::vector<std::string>>& table)
{
    std::vector<double> milliseconds;
    std::size_t touched = 0;
    ask(users.front());
    for (const std::string& user : users) {
        const auto begin = Clock::now();
        touched = std::max(touched, static_cast<std::size_t>(ask(user)));
        milliseconds.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
    }
    std::sort(milliseconds.begin(), milliseconds.end());
    table.push_back({how, std::to_string(touched), fmt::format("{:.2f} ms", milliseconds[milliseconds.size() / 2]),
                     fmt::format("{:.2f} ms", milliseconds[milliseconds.size() * 99 / 100])});
}

} // namespace

void show_reads(const Settings& settings, const std::vector<std::string>& names)
{
    Nodes nodes = connect(settings, names);
    const std::vector<std::string> users = some_users(nodes, 200);
    const auto everywhere = [&](const std::string& user) {
        for (auto& [name, node] : nodes) {
            node.run_prepared("by_user", kBaseQuery, std::array{pg::Parameter(user)});
        }
        return nodes.size();
    };
    std::map<std::string, std::string> home;
    for (const std::string& user : users) {
        home[user] =
            nodes.begin()->second.query("SELECT keyshift.node_of('public.user_interactions', $1)", {user}).text(0, 0);
    }
    std::vector<std::vector<std::string>> rows{{"all interactions of one user", "nodes touched", "median", "p99"}};
    for (auto& [name, node] : nodes) {
        node.script("SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off");
    }
    measure("scan on every node", {users.begin(), users.begin() + 30}, everywhere, rows);
    for (auto& [name, node] : nodes) {
        node.script("RESET enable_indexscan; RESET enable_bitmapscan; RESET enable_indexonlyscan; DISCARD PLANS");
    }
    measure("secondary index on every node", users, everywhere, rows);
    measure(
        "projection on one node", users,
        [&](const std::string& user) {
            nodes.at(home[user]).run_prepared("projection", kProjectionQuery, std::array{pg::Parameter(user)});
            return 1;
        },
        rows);
    table(rows);
}

} // namespace keyshift::demo
