/// What a read by another key costs: `keyshift-reads DIRECTORY DOCUMENT PLOT`, with the servers' addresses in the environment.
/// `./dev bench reads` runs it.

#include "bench/reads/cluster.hpp"
#include "bench/reads/figures.hpp"

#include "demo/screen.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <map>

namespace keyshift::bench {

namespace {

using Clock = std::chrono::steady_clock;
constexpr int kReads = 200;
constexpr int kScans = 25;
constexpr int kExplained = 10;

struct Way {
    std::string name;
    Asking ask;
    Client::Fan fan;
    int reads = kReads;
};

std::vector<std::string> some_keys(Cluster& cluster, const Read& read)
{
    std::vector<std::string> keys;
    for (std::size_t number = 0; number < cluster.nodes(); ++number) {
        const pg::Result rows = cluster.node(number).query(read.keys);
        for (int row = 0; row < rows.rows(); ++row) {
            keys.emplace_back(rows.text(row, 0));
        }
    }
    std::sort(keys.begin(), keys.end()); // they are hashes
    keys.resize(kReads);
    return keys;
}

/// The sum of the first answers, which every way must agree on.
long long measure(const Bench& bench, const Way& way, const std::vector<std::string>& keys, Figures& figures)
{
    Client client(bench.settings, figures.nodes, way.fan);
    long long sum = 0;
    for (int read = 0; read < kExplained; ++read) {
        sum += way.ask(client, keys[static_cast<std::size_t>(read)]);
    }
    client.take_effort();
    std::vector<double> milliseconds;
    for (int read = 0; read < way.reads; ++read) {
        const auto begin = Clock::now();
        way.ask(client, keys[static_cast<std::size_t>(read)]);
        milliseconds.push_back(seconds_since(begin) * 1000);
    }
    figures.p50_ms = quantile(milliseconds, 0.5);
    figures.p99_ms = quantile(milliseconds, 0.99);
    client.take_effort();
    client.count_buffers();
    for (int read = 0; read < kExplained; ++read) {
        way.ask(client, keys[static_cast<std::size_t>(read)]);
        const Effort effort = client.take_effort();
        figures.buffers += effort.buffers / kExplained;
        figures.round_trips += effort.round_trips / static_cast<double>(kExplained);
        figures.touched += static_cast<double>(effort.nodes.size()) / kExplained;
    }
    return sum;
}

/// One read on the nodes there are.
class ReadBench {
public:
    ReadBench(const Bench& bench, Cluster& cluster, const Read& read)
        : bench_(bench), cluster_(cluster), read_(read), keys_(some_keys(cluster, read)),
          users_(cluster.node(0), "users"), interactions_(cluster.node(0), "interactions")
    {
    }

    /// `plain_writes`: of tables with neither index nor projection, which are the same for every read.
    std::vector<Figures> run(std::map<std::string, WriteCost>& plain_writes)
    {
        if (!plain_writes.contains(read_.written)) {
            plain_writes[read_.written] = cluster_.write_cost(read_, "");
        }
        const Asking all = on_all_nodes(read_);
        add({{"scan, one node after the other", all, Client::Fan::sequential, kScans}}, "",
            plain_writes[read_.written]);
        cluster_.make_index(read_);
        std::vector<Way> indexed{{"index, one node after the other", all, Client::Fan::sequential},
                                 {"index, all nodes at once", all, Client::Fan::parallel}};
        if (const Asking owners = on_owners(read_, users_, interactions_)) {
            indexed.push_back({"index, the nodes with the rows at once", owners, Client::Fan::parallel});
        }
        add(indexed, "", cluster_.write_cost(read_, ""));
        cluster_.drop_index();
        cluster_.make_projection(read_);
        const Placement places(cluster_.node(0), read_.projection);
        add({{"projection", of_projection(read_, places), Client::Fan::sequential}}, read_.projection,
            cluster_.write_cost(read_, read_.projection));
        cluster_.drop_projection(read_);
        return std::move(figures_);
    }

private:
    void add(const std::vector<Way>& ways, const std::string& projection, const WriteCost& write)
    {
        for (const Way& way : ways) {
            Figures figures{read_.name, way.name, cluster_.nodes()};
            const long long sum = measure(bench_, way, keys_, figures);
            if (!figures_.empty() && sum != sum_) {
                throw FatalError({read_.name + ": " + way.name,
                                  fmt::format("it finds {}, and the first way {}", sum, sum_),
                                  "Find out which one is wrong; its times are worth nothing."});
            }
            sum_ = sum;
            figures.storage = cluster_.storage(read_, projection);
            figures.wal_bytes = write.wal_bytes;
            figures.commits = write.commits;
            figures_.push_back(figures);
        }
    }

    const Bench& bench_;
    Cluster& cluster_;
    const Read& read_;
    std::vector<std::string> keys_;
    Placement users_;
    Placement interactions_;
    long long sum_ = 0;
    std::vector<Figures> figures_;
};

int run(const demo::Settings& settings, const std::string& document, const std::string& plot)
{
    const int port = demo::free_port();
    demo::write_config(settings, port);
    const demo::Program program(settings);
    demo::Daemon daemon(settings, port);
    const Bench bench{settings, program, daemon};
    prepare(settings, program);
    Cluster cluster(bench);
    std::vector<Figures> all;
    for (std::size_t nodes = 1; nodes <= settings.servers.size(); nodes *= 2) {
        const auto begin = Clock::now();
        cluster.grow(nodes);
        std::map<std::string, WriteCost> plain_writes;
        for (const Read& read : all_reads()) {
            const std::vector<Figures> figures = ReadBench(bench, cluster, read).run(plain_writes);
            all.insert(all.end(), figures.begin(), figures.end());
        }
        demo::say(fmt::format("== {} nodes: {:.0f} s", nodes, seconds_since(begin)));
    }
    daemon.stop();
    show(all);
    write_table(document, surroundings(settings), all);
    write_plot(plot, all);
    return 0;
}

} // namespace

} // namespace keyshift::bench

int main(int count, char** arguments)
{
    using namespace keyshift;
    try {
        const demo::Settings settings = demo::settings_from_environment(count > 1 ? arguments[1] : "/tmp");
        return bench::run(settings, count > 2 ? arguments[2] : "choosing.md", count > 3 ? arguments[3] : "reads.svg");
    } catch (const Error& error) {
        fmt::print(stderr, "error: {}\n  why:  {}\n  next: {}\n", error.parts().what, error.parts().why,
                   error.parts().next);
        return exit_status(error.kind());
    } catch (const std::exception& error) {
        fmt::print(stderr, "error: the benchmark itself is broken: {}\n", error.what());
        return 1;
    }
}
