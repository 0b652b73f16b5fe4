#include "bench/document.hpp"
#include "bench/measured.hpp"

#include "core/names.hpp"
#include "demo/screen.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

namespace keyshift::bench {

namespace {

struct Part {
    std::string name;
    std::string heading; ///< of its section in the document
    std::vector<Measured> (*measure)(const Bench&);
};

const std::vector<Part> kParts{{"inserts", "Capture", bench_inserts},
                               {"mixed", "Capture", bench_mixed},
                               {"latency", "Capture", bench_latency},
                               {"transaction", "Capture", bench_transaction},
                               {"snapshot", "Capture", bench_snapshot},
                               {"projection-apply", "Projections", bench_projection},
                               {"projection-totals", "Projections", bench_projection_totals},
                               {"projection-latency", "Projections", bench_projection_latency},
                               {"projection-backfill", "Projections", bench_projection_backfill},
                               {"projection-sink", "Projections", bench_projection_sink},
                               {"projection-faults", "Projections", bench_projection_faults},
                               {"move-group", "Moves", bench_move_group},
                               {"move-catch-up", "Moves", bench_move_catch_up},
                               {"move-empty", "Moves", bench_move_empty},
                               {"move-third", "Moves", bench_move_third},
                               {"move-total", "Moves", bench_move_total}};

/// Names that stand for whole sections.
const std::map<std::string, std::string> kSections{
    {"cdc", "Capture"}, {"projection", "Projections"}, {"move", "Moves"}};

bool is_named(const Part& part, const std::set<std::string>& names)
{
    return names.empty() || std::any_of(names.begin(), names.end(), [&](const std::string& name) {
               const auto section = kSections.find(name);
               const bool whole = section != kSections.end() && section->second == part.heading;
               return whole || name == part.name || (name.starts_with("move-") && part.name == "move-total");
           });
}

/// Runs the parts named, or all of them.
std::vector<Section> measure(const Bench& bench, const std::set<std::string>& names)
{
    const std::string where = surroundings(bench.settings);
    std::vector<Section> sections;
    std::set<std::string> partly;
    for (const Part& part : kParts) {
        if (!is_named(part, names)) {
            partly.insert(part.heading);
            continue;
        }
        if (sections.empty() || sections.back().heading != part.heading) {
            sections.push_back({part.heading, where, {}});
        }
        for (const Measured& result : part.measure(bench)) {
            demo::say(fmt::format("== {}: {} {}", result.what, result.measured, result.ratio));
            sections.back().results.push_back(result);
        }
    }
    for (Section& section : sections) {
        section.whole = !partly.contains(section.heading);
    }
    return sections;
}

void show(const std::vector<Section>& sections)
{
    std::vector<std::vector<std::string>> rows{{"what", "limit, same run", "measured", "ratio", "goal", ""}};
    for (const Section& section : sections) {
        for (const Measured& result : section.results) {
            rows.push_back({result.what, result.limit, result.measured, result.ratio, result.goal,
                            result.reached ? "reached" : "NOT REACHED"});
        }
    }
    demo::table(rows);
}

int run(const demo::Settings& settings, const std::string& document, const std::set<std::string>& names)
{
    const int port = demo::free_port();
    demo::write_config(settings, port);
    const demo::Program program(settings);
    demo::Daemon daemon(settings, port);
    const Bench bench{settings, program, daemon};
    prepare(settings, program);
    const std::vector<Section> sections = measure(bench, names);
    show(sections);
    write_sections(document, sections);
    return std::all_of(sections.begin(), sections.end(),
                       [](const Section& section) {
                           return std::all_of(section.results.begin(), section.results.end(),
                                              [](const Measured& result) { return result.reached; });
                       })
               ? 0
               : 1;
}

} // namespace

} // namespace keyshift::bench

/// The benchmarks: `keyshift-bench DIRECTORY DOCUMENT [PART...]`, with the servers' addresses in the environment. `./dev bench` runs it.
int main(int count, char** arguments)
{
    using namespace keyshift;
    try {
        demo::Settings settings = demo::settings_from_environment(count > 1 ? arguments[1] : "/tmp");
        settings.grace = "10min"; // the default: the donors' copies are kept current while others move
        return bench::run(settings, count > 2 ? arguments[2] : "benchmarks.md",
                          std::set<std::string>(arguments + std::min(count, 3), arguments + count));
    } catch (const Error& error) {
        fmt::print(stderr, "error: {}\n  why:  {}\n  next: {}\n", error.parts().what, error.parts().why,
                   error.parts().next);
        return exit_status(error.kind());
    } catch (const std::exception& error) {
        fmt::print(stderr, "error: the benchmark itself is broken: {}\n", error.what());
        return 1;
    }
}
