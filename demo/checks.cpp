#include "demo/checks.hpp"

#include "core/bucket_map.hpp"
#include "core/json.hpp"
#include "core/names.hpp"
#include "demo/screen.hpp"
#include "demo/topics.hpp"

#include <fmt/core.h>

#include <array>

namespace keyshift::demo {

namespace {

const std::array<std::string, 3> kTables{"users", "posts", "interactions"};
constexpr std::uint32_t kBuckets = 64;

using ByNode = std::map<std::string, DatabaseState>;

DatabaseState expected_state(const DatabaseState& before, const std::vector<WriterLog>& logs)
{
    DatabaseState expected = before;
    for (const WriterLog& log : logs) {
        for (const auto& [table, rows] : log.acknowledged) {
            for (const auto& [id, row] : rows) {
                expected[table][id] = row;
            }
        }
    }
    return expected;
}

/// What an operator needs to look for a wrong row: on stdout, a line each.
void report_wrong(const std::string& where, const std::string& table, const std::string& id, const RowState* wanted,
                  const RowState* found)
{
    const auto shown = [](const RowState* row) {
        return row == nullptr ? std::string("nothing")
                              : fmt::format("{} '{}' of {}", row->live ? "row" : "deleted", row->value, row->shard_key);
    };
    say(fmt::format("  WRONG {} {} on {}: acknowledged {}, found {}", table, id, where, shown(wanted), shown(found)));
}

Check check_writes(const ByNode& nodes, const DatabaseState& expected, const std::vector<WriterLog>& logs)
{
    long long wrong = 0;
    long long rows = 0;
    std::map<std::string, std::unordered_map<std::string, int>> copies;
    for (const auto& [name, tables] : nodes) {
        for (const auto& [table, states] : tables) {
            for (const auto& [id, row] : states) {
                ++rows;
                ++copies[table][id];
                const auto wanted = expected.at(table).find(id);
                if (wanted == expected.at(table).end() || !(wanted->second == row)) {
                    ++wrong;
                    report_wrong(name, table, id, wanted == expected.at(table).end() ? nullptr : &wanted->second, &row);
                }
            }
        }
    }
    for (const auto& [table, states] : expected) {
        for (const auto& [id, row] : states) {
            const auto found = copies[table].find(id);
            if ((found == copies[table].end() ? 0 : found->second) != (row.live ? 1 : 0)) {
                ++wrong;
                report_wrong(fmt::format("{} nodes", found == copies[table].end() ? 0 : found->second), table, id, &row,
                             nullptr);
            }
        }
    }
    long long writes = 0;
    std::string error;
    for (const WriterLog& log : logs) {
        writes += log.writes;
        error += log.error;
    }
    return {"every acknowledged write there once, last value",
            fmt::format("{} writes, {} rows, {} wrong{}", grouped(writes), grouped(rows), wrong,
                        error.empty() ? "" : "; " + error),
            wrong == 0 && error.empty()};
}

std::map<std::string, std::vector<std::string>> read_placement(const Settings& settings)
{
    std::map<std::string, std::vector<std::string>> owners;
    pg::Connection catalog(settings.connection("n1", "demo checks"));
    const pg::Result rows = catalog.query("SELECT group_name, bucket, node FROM keyshift.placement");
    for (int row = 0; row < rows.rows(); ++row) {
        auto& group = owners[std::string(rows.text(row, 0))];
        group.resize(kBuckets);
        group[static_cast<std::size_t>(rows.integer(row, 1))] = rows.text(row, 2);
    }
    return owners;
}

Check check_owners(const Settings& settings, const ByNode& nodes)
{
    const auto owners = read_placement(settings);
    long long stray = 0;
    std::string spread;
    for (const auto& [name, tables] : nodes) {
        long long here = 0;
        for (const auto& [table, states] : tables) {
            const auto& group = owners.at(table == "interactions" ? "interactions" : "users");
            for (const auto& [id, row] : states) {
                const auto hash = partition_hash(std::array{KeyType::uuid}, std::array<KeyValue, 1>{row.shard_key});
                stray += group[number(bucket_of_hash(*hash, kBuckets))] != name ? 1 : 0;
                ++here;
            }
        }
        spread += fmt::format("{}{} {}", spread.empty() ? "" : ", ", name, grouped(here));
    }
    return {"no row on a node that does not own it", fmt::format("{} stray ({})", stray, spread), stray == 0};
}

std::pair<Check, Check> check_topics(const Settings& settings, const ByNode& nodes)
{
    const Folded folded = fold_topics(settings);
    long long rows = 0;
    long long different = 0;
    for (const std::string& table : kTables) {
        const auto topic = folded.state.find(table);
        std::size_t in_topic = topic == folded.state.end() ? 0 : topic->second.size();
        for (const auto& [name, tables] : nodes) {
            for (const auto& [id, row] : tables.at(table)) {
                ++rows;
                const bool there = in_topic > 0 && topic->second.contains(id);
                different += there && topic->second.at(id) == row ? 0 : 1;
                in_topic -= there ? 1 : 0;
            }
        }
        different += static_cast<long long>(in_topic);
    }
    return {{"folding each topic gives exactly the tables",
             fmt::format("{} records, {} rows, {} different", grouped(folded.records), grouped(rows), different),
             different == 0},
            {"per key keyshift.position never goes back",
             fmt::format("{} backward, {} exact repeats", folded.backward, grouped(folded.repeats)),
             folded.backward == 0}};
}

TableState read_projection(const Settings& settings, const std::string& relation)
{
    TableState rows;
    for (const Server& server : settings.servers) {
        pg::Connection node(settings.connection(server.name, "demo checks"));
        const pg::Result result =
            node.query("SELECT interaction_id, user_id, post_id || interaction_type || content FROM " + relation);
        for (int row = 0; row < result.rows(); ++row) {
            RowState& state = rows[std::string(result.text(row, 0))];
            state.live = state.value.empty();
            state.shard_key = result.text(row, 1);
            state.value += result.text(row, 2);
        }
    }
    return rows;
}

Check check_projection(const Settings& settings, const Program& program)
{
    const TableState definition = read_projection(settings, "public.interactions");
    const TableState projection = read_projection(settings, "public.user_interactions");
    long long different = 0;
    for (const auto& [id, row] : definition) {
        const auto found = projection.find(id);
        different += found == projection.end() || !(found->second == row) ? 1 : 0;
    }
    for (const auto& [id, row] : projection) {
        different += definition.contains(id) ? 0 : 1;
    }
    const nlohmann::json verified = program.json({"projection", "verify", "user_interactions"});
    const long long found = verified["missing"].get<long long>() + verified["extra"].get<long long>() +
                            verified["different"].get<long long>();
    return {"the projection equals its SQL over all nodes",
            fmt::format("{} rows, {} different; `projection verify` finds {}",
                        grouped(static_cast<long long>(projection.size())), different, found),
            different == 0 && found == 0};
}

Check check_hashes(const Program& program)
{
    long long moves = 0;
    long long unverified = 0;
    for (const nlohmann::json& job : program.json({"reshard", "list"})) {
        const nlohmann::json status = program.json({"reshard", "status", std::to_string(job["job"].get<long long>())});
        for (const nlohmann::json& move : status["moves"]) {
            ++moves;
            unverified += move["verified"].get<bool>() ? 0 : 1;
        }
    }
    return {"hash of every moved bucket agreed before the switch", fmt::format("{} moves, {} not", moves, unverified),
            moves > 0 && unverified == 0};
}

Check check_leftovers(const Settings& settings)
{
    static constexpr const char* kQuery = R"(
SELECT (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'keyshift' AND c.relname LIKE 'stage\_%'),
       (SELECT count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN keyshift.local_bucket b ON b.state = 'open' AND c.relname ~ ('^' || CASE b.group_name WHEN 'users' THEN '(users|posts)'
             WHEN 'interactions' THEN 'interactions' ELSE b.group_name || '__g1' END || '_b' || b.bucket || '$')
        WHERE t.tgname LIKE 'keyshift\_reject%'),
       (SELECT count(*) FROM pg_constraint WHERE pg_get_constraintdef(oid) LIKE '%satisfies\_hash\_partition%'),
       (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND database =
            (SELECT oid FROM pg_database WHERE datname = current_database()))
       + (SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = current_database()),
       (SELECT count(*) FROM pg_replication_slots) - 1,
       (SELECT count(*) FROM keyshift.move_progress),
       (SELECT count(*) FROM keyshift.local_bucket WHERE state = 'fenced'))";
    static constexpr std::array kNames{"staging tables",   "reject triggers on owned leaves",
                                       "partition checks", "locks or open transactions",
                                       "extra slots",      "progress rows",
                                       "fenced buckets"};
    std::string found;
    for (const Server& server : settings.servers) {
        pg::Connection node(settings.connection(server.name, "demo checks"));
        const pg::Result counts = node.query(kQuery);
        for (int column = 0; column < counts.columns(); ++column) {
            // The daemon's own lock in the catalog database (n1) is its life sign while it runs.
            const std::int64_t allowed = column == 3 && server.name == "n1" ? 1 : 0;
            if (counts.integer(0, column) > allowed) {
                found += fmt::format("{}: {} {}; ", server.name, counts.integer(0, column),
                                     kNames[static_cast<std::size_t>(column)]);
            }
        }
    }
    return {"nothing of the moves is left over", found.empty() ? "nothing" : found, found.empty()};
}

} // namespace

DatabaseState read_node(const Settings& settings, const std::string& name)
{
    DatabaseState state;
    pg::Connection node(settings.connection(name, "demo checks"));
    for (const std::string& table : kTables) {
        const pg::Result rows = node.query("SELECT * FROM public." + quote_identifier(table));
        TableState& states = state[table];
        for (int row = 0; row < rows.rows(); ++row) {
            ComparedRow compared = compared_row(
                table, [&](const char* column) { return std::string(rows.text(row, rows.column(column))); });
            states[compared.id] = std::move(compared.state);
        }
    }
    return state;
}

std::vector<Check> run_checks(const Settings& settings, const Program& program, const DatabaseState& before,
                              const std::vector<WriterLog>& logs)
{
    ByNode nodes;
    for (const Server& server : settings.servers) {
        nodes[server.name] = read_node(settings, server.name);
    }
    std::vector<Check> checks;
    checks.push_back(check_writes(nodes, expected_state(before, logs), logs));
    checks.push_back(check_owners(settings, nodes));
    auto [fold, positions] = check_topics(settings, nodes);
    checks.push_back(std::move(fold));
    checks.push_back(std::move(positions));
    checks.push_back(check_projection(settings, program));
    checks.push_back(check_hashes(program));
    checks.push_back(check_leftovers(settings));
    return checks;
}

bool show_checks(const std::vector<Check>& checks)
{
    std::vector<std::vector<std::string>> rows{{"check", "found", ""}};
    bool passed = true;
    for (const Check& check : checks) {
        rows.push_back({check.name, check.result, check.passed ? "ok" : "FAILED"});
        passed = passed && check.passed;
    }
    table(rows);
    return passed;
}

} // namespace keyshift::demo
