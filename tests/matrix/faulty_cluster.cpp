#include "tests/matrix/faulty_cluster.hpp"

#include "core/backoff.hpp"
#include "core/json.hpp"

#include <fmt/core.h>

#include <chrono>
#include <stdexcept>

namespace keyshift::test {

namespace {

using namespace std::chrono_literals;

constexpr int kServers = 3;

const char* const kTables = R"(
CREATE TABLE public.users (user_id bigint PRIMARY KEY, turn int NOT NULL, balance int NOT NULL);
CREATE TABLE public.posts (user_id bigint REFERENCES public.users, post_id bigint, content text, PRIMARY KEY (user_id, post_id));
)";

} // namespace

FaultyCluster::FaultyCluster(int users, const kafka::Settings& broker, const std::string& grace)
    : broker_(broker), prefix_(unique_name("matrix")), http_port_(free_port())
{
    for (int number = 0; number < kServers; ++number) {
        servers_.push_back(std::make_unique<PrivatePostgres>(std::vector<std::string>{"shared_buffers = 32MB"}));
        proxies_.push_back(std::make_unique<TcpProxy>(servers_.back()->port()));
    }
    config_file_ = directory_.write(
        "keyshift.toml",
        fmt::format(
            "[catalog]\ndsn = \"host=127.0.0.1 port={} user=postgres dbname=postgres\"\n\n"
            "[kafka]\n\"bootstrap.servers\" = \"{}\"\n\n[cdc]\ntopic_prefix = \"{}\"\npartitions = 2\n"
            "heartbeat_interval = \"100ms\"\n\n[reshard]\ngrace = \"{}\"\n\n[http]\nlisten = \"127.0.0.1:{}\"\n\n"
            "[log]\nformat = \"text\"\nlevel = \"debug\"\n",
            proxy(kCatalog).port(), broker_.at("bootstrap.servers"), prefix_, grace, http_port_));
    must({"init"});
    connect(1).script(kTables +
                      fmt::format("INSERT INTO public.users SELECT i, 0, 0 FROM generate_series(1, {}) i", users));
    const auto dsn = [&](int number) {
        return fmt::format("host=127.0.0.1 port={} user=postgres dbname=postgres", proxy(number).port());
    };
    must({"node", "add", "n1", "--dsn", dsn(1)});
    must({"table", "distribute", "users", "--key", "user_id", "--buckets", std::to_string(kBuckets), "--offline"});
    must({"table", "distribute", "posts", "--key", "user_id", "--with", "users", "--offline"});
    must({"node", "add", "n2", "--dsn", dsn(2)});
    start_daemon();
    if (!comes_true(kCatalog, "SELECT bool_and(state = 'done') FROM keyshift.snapshot")) {
        throw std::runtime_error("the rows there did not reach Kafka:\n" + daemon().output());
    }
}

FaultyCluster::~FaultyCluster()
{
    // The daemon first: a server that it is connected to would be waited for.
    daemon_.reset();
}

void FaultyCluster::start_daemon(const std::string& failpoints)
{
    daemon_ = std::make_unique<BackgroundProgram>(
        std::vector<std::string>{keyshift_binary(), "--config", config_file_, "run"},
        Environment{{"KEYSHIFT_FAILPOINTS", failpoints}});
}

std::unique_ptr<BackgroundProgram> FaultyCluster::another_daemon() const
{
    return std::make_unique<BackgroundProgram>(
        std::vector<std::string>{keyshift_binary(), "--config", config_file_, "run", "--set",
                                 fmt::format("http.listen=127.0.0.1:{}", free_port())});
}

void FaultyCluster::kill_daemon()
{
    daemon_->kill();
}

std::string FaultyCluster::must(std::vector<std::string> arguments) const
{
    const std::string verb = arguments.at(0) + " " + (arguments.size() > 1 ? arguments.at(1) : "");
    arguments.insert(arguments.begin(), {keyshift_binary(), "--config", config_file_});
    const Finished done = run_program(arguments, {}, 120s);
    if (done.status != 0) {
        throw std::runtime_error(fmt::format("keyshift {} exits with {}: {}", verb, done.status, done.err));
    }
    return done.out;
}

std::unique_ptr<BackgroundProgram> FaultyCluster::begin(std::vector<std::string> arguments,
                                                        const std::string& failpoints) const
{
    arguments.insert(arguments.begin(), {keyshift_binary(), "--config", config_file_});
    return std::make_unique<BackgroundProgram>(arguments, Environment{{"KEYSHIFT_FAILPOINTS", failpoints}});
}

std::string FaultyCluster::start_move(int bucket, int to) const
{
    must({"reshard", "start", "--to", fmt::format("n{}", to), "--buckets", std::to_string(bucket)});
    return value(kCatalog, "SELECT max(id) FROM keyshift.job");
}

pg::Connection FaultyCluster::connect(int number) const
{
    return pg::Connection(servers_.at(static_cast<std::size_t>(number))->settings(fmt::format("n{}", number)));
}

std::string FaultyCluster::value(int number, const std::string& query) const
{
    const auto rows = connect(number).query(query);
    return rows.rows() == 0 ? "" : std::string(rows.text(0, 0));
}

bool FaultyCluster::comes_true(int number, const std::string& query, int seconds) const
{
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    do {
        try {
            if (value(number, query) == "t") {
                return true;
            }
        } catch (const Error&) {
            // It restarts.
        }
        sleep_for(20ms, {});
    } while (std::chrono::steady_clock::now() < end);
    return false;
}

int FaultyCluster::owner(int bucket) const
{
    return value(kCatalog, fmt::format("SELECT node FROM keyshift.bucket WHERE group_name = 'users' AND bucket = {}",
                                       bucket)) == "n1"
               ? 1
               : 2;
}

int FaultyCluster::bucket_of(int user, int modulus) const
{
    return std::stoi(value(1, fmt::format("SELECT r FROM generate_series(0, {0} - 1) r WHERE satisfies_hash_partition("
                                          "'public.users'::regclass, {0}, r, {1}::bigint)",
                                          modulus, user)));
}

} // namespace keyshift::test
