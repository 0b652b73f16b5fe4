#include "bench/measured.hpp"

#include "core/backoff.hpp"
#include "core/names.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <fstream>
#include <sys/utsname.h>
#include <thread>

namespace keyshift::bench {

namespace {

std::string processor()
{
    std::ifstream info("/proc/cpuinfo");
    for (std::string line; std::getline(info, line);) {
        if (line.starts_with("model name")) {
            return line.substr(line.find(':') + 2);
        }
    }
    return "unknown processor";
}

} // namespace

double seconds_since(std::chrono::steady_clock::time_point begin)
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double quantile(std::vector<double> values, double part)
{
    if (values.empty()) {
        return 0;
    }
    std::sort(values.begin(), values.end());
    const auto rank = static_cast<std::size_t>(std::ceil(part * static_cast<double>(values.size())));
    return values[std::max<std::size_t>(rank, 1) - 1];
}

void Bench::wait_snapshots() const
{
    pg::Connection catalog(settings.connection("n1", "bench"));
    while (catalog.query("SELECT count(*) FROM keyshift.snapshot WHERE state IN ('pending', 'running')").integer(0, 0) >
           0) {
        sleep_for(std::chrono::milliseconds(200), {});
    }
}

std::string surroundings(const demo::Settings& settings)
{
    pg::Connection node(settings.connection("n1", "bench"));
    utsname system{};
    uname(&system);
    char date[16] = {};
    const std::time_t now = std::time(nullptr);
    std::strftime(date, sizeof date, "%F", std::gmtime(&now));
    return fmt::format("{}: {} x {}, Linux {}, PostgreSQL {}, Keyshift {}", date, std::thread::hardware_concurrency(),
                       processor(), system.release, node.query("SHOW server_version").text(0, 0), KEYSHIFT_VERSION);
}

void prepare(const demo::Settings& settings, const demo::Program& program)
{
    for (const demo::Server& server : settings.servers) {
        pg::ConnectionSettings maintenance = settings.connection(server.name, "bench");
        maintenance.conninfo = fmt::format("host=127.0.0.1 port={} user=postgres dbname=postgres", server.port);
        pg::Connection(maintenance).query("CREATE DATABASE " + quote_identifier(settings.database));
    }
    program.run({"init"});
    program.run({"node", "add", "n1", "--dsn", settings.dsn("n1")});
}

} // namespace keyshift::bench
