#include "bench/moves.hpp"

#include "core/backoff.hpp"
#include "core/json.hpp"

#include <fmt/core.h>

namespace keyshift::bench {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

void ready_for_moves(const Bench& bench, const std::string& node)
{
    pg::Connection catalog(bench.settings.connection("n1", "bench"));
    if (catalog.query("SELECT FROM keyshift.node WHERE name = $1", {node}).rows() == 0) {
        bench.program.run({"node", "add", node, "--dsn", bench.settings.dsn(node)});
    }
    if (!bench.daemon.running()) {
        bench.daemon.start();
    }
    bench.wait_snapshots();
}

double copy_raw(const Bench& bench, const std::string& from, const std::string& to, const std::string& columns,
                const std::vector<std::string>& leaves, const std::string& indexes)
{
    pg::Connection donor(bench.settings.connection(from, "bench"));
    pg::Connection recipient(bench.settings.connection(to, "bench"));
    recipient.script("CREATE TABLE public.raw (" + columns + ")");
    const auto begin = Clock::now();
    for (const std::string& leaf : leaves) {
        recipient.copy_in_begin("COPY public.raw FROM STDIN (FORMAT binary)");
        donor.copy_out("COPY " + leaf + " TO STDOUT (FORMAT binary)",
                       [&](std::string_view bytes) { recipient.copy_in_put(bytes); });
        recipient.copy_in_end();
    }
    recipient.script(indexes);
    const double seconds = seconds_since(begin);
    recipient.script("DROP TABLE public.raw");
    return seconds;
}

Job wait_job(const Bench& bench)
{
    pg::Connection catalog(bench.settings.connection("n1", "bench"));
    for (int tries = 0; tries < 6000; ++tries) {
        const auto now = catalog.query(
            "SELECT count(*), count(*) FILTER (WHERE m.switched_at IS NULL), bool_or(m.state IN ('aborting', 'aborted')), "
            "extract(epoch FROM max(m.switched_at) - min(m.started_at))::float8, sum(m.rows)::bigint, sum(m.bytes)::bigint "
            "FROM keyshift.move m WHERE m.job = (SELECT max(id) FROM keyshift.job)");
        if (now.integer(0, 0) > 0 && now.boolean(0, 2)) {
            break;
        }
        if (now.integer(0, 0) > 0 && now.integer(0, 1) == 0) {
            return {now.real(0, 3), now.integer(0, 4), now.integer(0, 5)};
        }
        sleep_for(50ms, {});
    }
    throw FatalError({"waiting for a reshard job", "not all of its moves have switched", "Read daemon.log."});
}

Job reshard(const Bench& bench, const std::vector<std::string>& arguments)
{
    std::vector<std::string> command{"reshard", "start"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    bench.program.run(command);
    const Job job = wait_job(bench);
    while (bench.program.json({"reshard", "status"})["state"] == "running") { // the next job waits for the grace period
        sleep_for(200ms, {});
    }
    return job;
}

std::string bucket_list(int first, int last)
{
    std::string list;
    for (int bucket = first; bucket < last; ++bucket) {
        list += fmt::format("{}{}", list.empty() ? "" : ",", bucket);
    }
    return list;
}

} // namespace keyshift::bench
