#include "metrics/families.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <unistd.h>

namespace keyshift::metrics {

namespace {

prometheus::Gauge& gauge(prometheus::Registry& registry, const char* name, const char* help)
{
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

/// User plus system time of this process in seconds, from /proc/self/stat (proc(5): fields 14 and 15, in ticks).
double cpu_seconds()
{
    std::ifstream file("/proc/self/stat");
    std::string line;
    std::getline(file, line);
    std::istringstream fields(line.substr(line.rfind(')') + 2));
    std::string skipped;
    for (int field = 3; field < 14; ++field) {
        fields >> skipped;
    }
    double user = 0;
    double system = 0;
    fields >> user >> system;
    return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

double resident_bytes()
{
    std::ifstream file("/proc/self/statm");
    double total = 0;
    double resident = 0;
    file >> total >> resident;
    return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

double open_files()
{
    double count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        ++count;
    }
    return count;
}

} // namespace

ProcessMetrics::ProcessMetrics(prometheus::Registry& registry)
    : config_last_reload_successful(
          gauge(registry, "keyshift_config_last_reload_successful",
                "1 when the configuration in the file is the one in force, 0 when it was refused.")),
      registry_(&registry)
{
    prometheus::BuildGauge()
        .Name("keyshift_build_info")
        .Help("Always 1; version and compiler of this program.")
        .Register(registry)
        .Add({{"version", KEYSHIFT_VERSION}, {"compiler", "g++ " __VERSION__}})
        .Set(1);
    config_last_reload_successful.set(1);
    const auto now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    gauge(registry, "process_start_time_seconds", "When the process started, in seconds since the Unix epoch.")
        .Set(now);
}

void ProcessMetrics::refresh() const
{
    auto& cpu = prometheus::BuildCounter()
                    .Name("process_cpu_seconds_total")
                    .Help("User and system time used, in seconds.")
                    .Register(*registry_)
                    .Add({});
    cpu.Increment(cpu_seconds() - cpu.Value());
    gauge(*registry_, "process_resident_memory_bytes", "Resident memory in bytes.").Set(resident_bytes());
    gauge(*registry_, "process_open_fds", "Open file descriptors.").Set(open_files());
}

} // namespace keyshift::metrics
