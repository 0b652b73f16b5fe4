#include "bench/reads/cluster.hpp"

#include "core/backoff.hpp"

#include <fmt/core.h>

#include <array>
#include <thread>

namespace keyshift::bench {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
constexpr int kUsers = 1'000;
constexpr int kPosts = 16'000;
constexpr int kTouchedPosts = 2'000; ///< that have interactions
constexpr int kInteractions = 60'000;
constexpr int kWrites = 120;
constexpr int kWritesPerSecond = 200;

// Nobody reads what the last fifty users do: their posts get the rows whose cost is counted.
constexpr const char* kSchema = R"(
CREATE TABLE public.users (user_id uuid PRIMARY KEY, name text NOT NULL);
CREATE TABLE public.posts (post_id uuid, user_id uuid REFERENCES public.users, content text, PRIMARY KEY (user_id, post_id));
CREATE TABLE public.interactions (interaction_id uuid, post_id uuid, user_id uuid NOT NULL, interaction_type text NOT NULL,
    content text, PRIMARY KEY (interaction_id, post_id));
SELECT setseed(0.42);
INSERT INTO public.users SELECT md5('user' || i)::uuid, 'user ' || i FROM generate_series(1, {users}) i;
INSERT INTO public.users SELECT md5('writer' || i)::uuid, 'writer ' || i FROM generate_series(1, 50) i;
INSERT INTO public.posts SELECT md5('post' || i)::uuid, md5('user' || (1 + i % {users}))::uuid, 'post ' || i || repeat(md5(i::text), 2)
FROM generate_series(1, {posts}) i;
INSERT INTO public.posts SELECT md5('written' || i)::uuid, md5('writer' || i)::uuid, 'post' FROM generate_series(1, 50) i;
INSERT INTO public.interactions SELECT md5('interaction' || i)::uuid, md5('post' || (1 + floor({touched} * random())::int))::uuid,
    md5('user' || (1 + floor({users} * random())::int))::uuid, (ARRAY['like', 'like', 'comment'])[1 + floor(3 * random())::int], 'interaction ' || i
FROM generate_series(1, {interactions}) i;
)";

std::string relations(const Read& read, const std::string& projection)
{
    std::string pattern;
    for (const std::string& table : read.tables) {
        pattern += (pattern.empty() ? "^((" : "|") + table;
    }
    return pattern + ")_b[0-9]+" + (projection.empty() ? "" : "|" + projection + "__.*") + ")$";
}

} // namespace

Cluster::Cluster(const Bench& bench) : bench_(bench)
{
    connections_.emplace_back(bench.settings.connection("n1", "bench"));
    node(0).script(fmt::format(kSchema, fmt::arg("users", kUsers), fmt::arg("posts", kPosts),
                               fmt::arg("touched", kTouchedPosts), fmt::arg("interactions", kInteractions)));
    bench.program.run({"table", "distribute", "users", "--key", "user_id", "--offline"});
    bench.program.run({"table", "distribute", "posts", "--key", "user_id", "--with", "users", "--offline"});
    bench.program.run({"table", "distribute", "interactions", "--key", "post_id", "--offline"});
    bench.daemon.start();
    bench.wait_snapshots();
    const pg::Result posts = node(0).query("SELECT user_id, post_id FROM public.posts WHERE content = 'post'");
    for (int row = 0; row < posts.rows(); ++row) {
        posts_.emplace_back(posts.text(row, 0), posts.text(row, 1));
    }
}

void Cluster::on_all(const std::string& sql)
{
    std::vector<std::jthread> threads;
    std::vector<std::exception_ptr> failures(nodes());
    for (std::size_t number = 0; number < nodes(); ++number) {
        threads.emplace_back([&, number](std::stop_token) {
            try {
                node(number).query(sql);
            } catch (...) {
                failures[number] = std::current_exception();
            }
        });
    }
    threads.clear();
    for (const std::exception_ptr& failure : failures) {
        if (failure) {
            std::rethrow_exception(failure);
        }
    }
}

void Cluster::grow(std::size_t nodes)
{
    const bool more = nodes > this->nodes();
    while (this->nodes() < nodes) {
        const std::string& name = bench_.settings.servers.at(this->nodes()).name;
        bench_.program.run({"node", "add", name, "--dsn", bench_.settings.dsn(name)});
        connections_.emplace_back(bench_.settings.connection(name, "bench"));
    }
    if (more) {
        bench_.program.run({"reshard", "start", "--wait"});
        while (
            node(0).query("SELECT count(*) FROM keyshift.move WHERE state NOT IN ('done', 'aborted')").integer(0, 0) >
            0) {
            sleep_for(200ms, {});
        }
    }
    on_all("VACUUM ANALYZE");
}

void Cluster::make_index(const Read& read)
{
    on_all("CREATE INDEX by_other_key ON public." + read.index);
}

void Cluster::drop_index()
{
    on_all("DROP INDEX public.by_other_key");
}

void Cluster::make_projection(const Read& read)
{
    std::vector<std::string> command{"projection", "create", read.projection, "--apply", "--wait"};
    command.insert(command.end(), read.create.begin(), read.create.end());
    bench_.program.run(command);
    on_all("VACUUM ANALYZE");
}

void Cluster::drop_projection(const Read& read)
{
    bench_.program.run({"projection", "drop", read.projection, "--yes"});
    while (node(0).query("SELECT FROM keyshift.projection").rows() > 0) {
        sleep_for(50ms, {});
    }
}

std::int64_t Cluster::storage(const Read& read, const std::string& projection)
{
    std::int64_t bytes = 0;
    for (pg::Connection& connection : connections_) {
        bytes += connection
                     .query("SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c "
                            "JOIN pg_namespace n ON n.oid = c.relnamespace "
                            "WHERE c.relkind = 'r' AND n.nspname IN ('public', 'keyshift') AND c.relname ~ $1",
                            {relations(read, projection)})
                     .integer(0, 0);
    }
    return bytes;
}

Cluster::Written Cluster::written()
{
    Written sum;
    for (pg::Connection& connection : connections_) {
        const pg::Result now = connection.query("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint, "
                                                "pg_snapshot_xmax(pg_current_snapshot())::text::bigint");
        sum.wal_bytes += now.integer(0, 0);
        sum.transactions += now.integer(0, 1);
    }
    return sum;
}

void Cluster::insert_rows(const Read& read)
{
    const Placement places(node(0), read.written == "posts" ? "users" : "interactions");
    const auto begin = Clock::now();
    for (int row = 0; row < kWrites; ++row) {
        std::this_thread::sleep_until(begin + row * std::chrono::microseconds(1'000'000 / kWritesPerSecond));
        const auto& [user, post] = posts_[static_cast<std::size_t>(row) % posts_.size()];
        if (read.written == "posts") {
            node(places.node_of(user))
                .run_prepared("write_post", "INSERT INTO public.posts VALUES (gen_random_uuid(), $1, 'written')",
                              std::array{pg::Parameter(user)});
        } else {
            node(places.node_of(post))
                .run_prepared(
                    "write_interaction",
                    "INSERT INTO public.interactions VALUES (gen_random_uuid(), $1, $2, 'like', 'interaction 60000')",
                    std::array{pg::Parameter(post), pg::Parameter(user)});
        }
    }
}

void Cluster::wait_shown(const std::string& projection)
{
    sleep_for(200ms, {}); // Kafka's progress and what follows from it
    if (projection.empty()) {
        return;
    }
    std::vector<std::string> tokens;
    for (pg::Connection& writer : connections_) {
        tokens.emplace_back(writer.query("SELECT keyshift.token()").text(0, 0));
    }
    for (pg::Connection& reader : connections_) {
        for (const std::string& token : tokens) {
            reader.query("SELECT keyshift.wait_for($1::regclass, $2, '60 s')", {"public." + projection, token});
        }
    }
}

WriteCost Cluster::write_cost(const Read& read, const std::string& projection)
{
    constexpr double kIdleSeconds = 0.5;
    const Written quiet = written();
    sleep_for(std::chrono::milliseconds(static_cast<int>(kIdleSeconds * 1000)), {});
    const auto begin = Clock::now();
    const Written before = written();
    insert_rows(read);
    wait_shown(projection);
    const Written after = written();
    // What goes on without any write is none of the write's.
    const double idle = seconds_since(begin) / kIdleSeconds;
    const auto of_write = [&](std::int64_t Written::*what) {
        return (static_cast<double>(after.*what - before.*what) -
                idle * static_cast<double>(before.*what - quiet.*what)) /
               kWrites;
    };
    return {of_write(&Written::wal_bytes), of_write(&Written::transactions)};
}

} // namespace keyshift::bench
