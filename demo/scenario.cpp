#include "demo/scenario.hpp"

#include "core/backoff.hpp"
#include "core/json.hpp"
#include "demo/reads.hpp"
#include "demo/schema.hpp"
#include "demo/screen.hpp"

#include <fmt/core.h>

#include <chrono>

namespace keyshift::demo {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

int configured(const Settings& settings)
{
    const int port = free_port();
    write_config(settings, port);
    return port;
}

} // namespace

Scenario::Scenario(const Settings& settings)
    : settings_(settings), program_(settings), daemon_(settings, configured(settings))
{
}

bool Scenario::run()
{
    find_the_faults();
    capture_everything();
    start_writing();
    build_projection();
    add_nodes();
    reshard_with_a_kill();
    return check_everything();
}

void Scenario::find_the_faults()
{
    step(1, "One PostgreSQL with the schema from before sharding; doctor finds what sharding would break");
    create_databases(settings_);
    load_schema(settings_);
    const std::vector<std::string> doctor{"doctor", "--plan", "users=user_id,posts=user_id,interactions=post_id"};
    program_.run(doctor, 5);
    say("  applying exactly what it printed");
    pg::Connection node(settings_.connection("n1", "demo"));
    for (const nlohmann::json& finding : program_.json(doctor, 5)) {
        if (finding["severity"] == "error") {
            node.script(finding["fix"].get<std::string>());
        }
    }
    program_.run(doctor);
}

void Scenario::capture_everything()
{
    step(2,
         "Catalog, first node, three distributed tables, the daemon: existing rows reach Kafka, then changes stream");
    program_.run({"init"});
    program_.run({"node", "add", "n1", "--dsn", settings_.dsn("n1")});
    program_.run({"table", "distribute", "users", "--key", "user_id"});
    program_.run({"table", "distribute", "posts", "--key", "user_id", "--with", "users"});
    program_.run({"table", "distribute", "interactions", "--key", "post_id"});
    command_line("run");
    daemon_.start();
    wait_for_snapshots();
    program_.run({"cdc", "status"});
}

void Scenario::wait_for_snapshots()
{
    const auto begin = Clock::now();
    pg::Connection catalog(settings_.connection("n1", "demo"));
    while (true) {
        const pg::Result left = catalog.query(
            "SELECT count(*) FILTER (WHERE state <> 'done'), coalesce(sum(rows), 0)::bigint FROM keyshift.snapshot");
        say(fmt::format("  snapshot: {} rows in Kafka", grouped(left.integer(0, 1))));
        if (left.integer(0, 0) == 0) {
            const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
            snapshot_rows_per_second_ = static_cast<double>(left.integer(0, 1)) / seconds;
            return;
        }
        if (Clock::now() - begin > 120s) {
            throw FatalError({"waiting for the snapshot", "not done after two minutes", "Read daemon.log."});
        }
        sleep_for(1s, {});
    }
}

void Scenario::start_writing()
{
    step(3, "A writer starts, and does not stop until the end");
    before_ = read_node(settings_, "n1");
    writers_ = std::make_unique<Writers>(settings_);
    sleep_for(2s, {});
    say(fmt::format("  {} connections, {:.0f} writes/s wanted; {} acknowledged in the first two seconds",
                    settings_.writers, settings_.writes_per_second, grouped(writers_->writes())));
}

void Scenario::build_projection()
{
    step(4, "A projection: interactions by user, built while writing goes on");
    program_.run({"projection", "create", "user_interactions", "--key", "user_id", "--apply", "--wait", "--sql",
                  "SELECT user_id, interaction_id, post_id, interaction_type, content FROM interactions"});
    show_reads(settings_, {"n1"});
}

void Scenario::add_nodes()
{
    step(5, "Two more nodes: two thirds of the buckets move under load");
    program_.run({"node", "add", "n2", "--dsn", settings_.dsn("n2")});
    program_.run({"node", "add", "n3", "--dsn", settings_.dsn("n3")});
    program_.run({"reshard", "plan"});
    const auto begin = Clock::now();
    program_.run({"reshard", "start", "--wait"});
    say(fmt::format("  resharded in {:.1f} s", std::chrono::duration<double>(Clock::now() - begin).count()));
    wait_for_settling();
    show_reads(settings_, {"n1", "n2", "n3"});
}

void Scenario::reshard_with_a_kill()
{
    step(6, "Once more with malice: everything leaves n3, and the daemon is killed on the way");
    program_.run({"reshard", "start", "--drain", "n3"});
    const std::int64_t job = program_.json({"reshard", "status"})["job"].get<std::int64_t>();
    watch_job(job, 5);
    wait_for_settling();
}

void Scenario::watch_job(std::int64_t job, std::optional<int> kill_after)
{
    const auto begin = Clock::now();
    auto shown = begin;
    while (Clock::now() - begin < 180s) {
        const nlohmann::json status = program_.json({"reshard", "status", std::to_string(job)});
        const int moved = status["moved"].get<int>();
        if (kill_after && moved >= *kill_after) {
            daemon_.kill();
            say(fmt::format("  SIGKILL to the daemon after {} of {} moves; starting it again", moved,
                            status["total"].get<int>()));
            daemon_.start();
            kill_after.reset();
        }
        if (status["state"] == "done") {
            say(fmt::format("  job {}: {} of {} moved, done in {:.1f} s", job, moved, status["total"].get<int>(),
                            std::chrono::duration<double>(Clock::now() - begin).count()));
            return;
        }
        if (status["state"] == "failed") {
            break;
        }
        if (Clock::now() - shown > 2s) {
            shown = Clock::now();
            say(fmt::format("  job {}: {} of {} moved", job, moved, status["total"].get<int>()));
        }
        sleep_for(100ms, {});
    }
    throw FatalError(
        {fmt::format("reshard job {}", job), "it did not finish", "Read daemon.log and `keyshift reshard explain`."});
}

void Scenario::wait_for_settling()
{
    pg::Connection catalog(settings_.connection("n1", "demo"));
    for (int tries = 0; tries < 120; ++tries) {
        const std::int64_t left =
            catalog.query("SELECT count(*) FROM keyshift.move WHERE state NOT IN ('done', 'aborted')").integer(0, 0);
        if (left == 0) {
            say("  every donor's frozen copy is cleared (grace 2 s in this demo; 10 min by default)");
            return;
        }
        if (tries % 8 == 7) {
            say(fmt::format("  {} moves still in their grace period", left));
        }
        sleep_for(500ms, {});
    }
    throw FatalError({"waiting for the moves to settle", "not done after a minute",
                      "Read daemon.log and `keyshift reshard explain`."});
}

} // namespace keyshift::demo
