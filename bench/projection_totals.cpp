#include "bench/projections.hpp"

#include "demo/screen.hpp"

#include <fmt/core.h>

namespace keyshift::bench {

namespace {

constexpr int kLikes = 300'000;
constexpr const char* kName = "post_likes";

} // namespace

std::vector<Measured> bench_projection_totals(const Bench& bench)
{
    pg::Connection node(bench.settings.connection("n1", "bench"));
    node.script("CREATE TABLE public.liked (post_id uuid, interaction_id uuid, user_id uuid, interaction_type text, "
                "PRIMARY KEY (post_id, interaction_id))");
    bench.program.run({"table", "capture", "liked"});
    bench.daemon.start();
    bench.wait_snapshots();
    bench.program.run({"projection", "create", kName, "--key", "post_id", "--wait", "--sql",
                       "SELECT post_id, count(*) FILTER (WHERE interaction_type = 'like') AS likes, "
                       "count(*) FILTER (WHERE interaction_type = 'comment') AS comments FROM liked GROUP BY post_id"});
    // Every second one is of one post, the others of ten thousand.
    pile_up(bench, kName,
            fmt::format(
                "DO $$ BEGIN FOR i IN 1..{} LOOP INSERT INTO public.liked SELECT "
                "md5(CASE WHEN g % 2 = 0 THEN 'hot' ELSE floor(random() * 10000)::text END)::uuid, gen_random_uuid(), "
                "gen_random_uuid(), (ARRAY['like', 'comment'])[1 + g % 3 / 2] FROM generate_series(1, 100) g; COMMIT; "
                "END LOOP; END $$",
                kLikes / 100));
    Drain drain(bench, kName, "liked");
    bench.program.run({"projection", "resume", kName});
    const Drain::Figures figures = drain.finish(kLikes);
    bench.program.run({"projection", "verify", kName});
    bench.daemon.stop();
    return {{fmt::format("totals of groups, {} events, half of them of one group", demo::grouped(kLikes)), "",
             fmt::format("{:.0f} k events/s", figures.per_second / 1000), "", ">= 80 k events/s",
             figures.per_second >= 80'000}};
}

} // namespace keyshift::bench
