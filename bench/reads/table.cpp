#include "bench/reads/figures.hpp"

#include "core/error.hpp"
#include "demo/screen.hpp"

#include <fmt/core.h>

#include <fstream>
#include <functional>
#include <map>
#include <sstream>

namespace keyshift::bench {

namespace {

const std::string kBegin = "<!-- ./dev bench reads: from here -->\n";
const std::string kEnd = "<!-- ./dev bench reads: to here -->\n";

std::string count(double value)
{
    const std::string text = fmt::format("{:.1f}", value);
    return value >= 10 || text.ends_with(".0") ? fmt::format("{:.0f}", value) : text;
}

std::string milliseconds(double value)
{
    return value >= 10 ? fmt::format("{:.0f}", value) : fmt::format("{:.2f}", value);
}

std::string megabytes(std::int64_t bytes)
{
    return fmt::format("{:.0f}", static_cast<double>(bytes) / 1e6);
}

/// "12 / 14 / 20": one figure for each number of nodes.
std::string over_nodes(const std::vector<Figures>& of_way, const std::function<std::string(const Figures&)>& shown)
{
    std::string cell;
    for (const Figures& figures : of_way) {
        cell += (cell.empty() ? "" : " / ") + shown(figures);
    }
    return cell;
}

/// Read and way in the order in which they were measured, each with its figures by number of nodes.
std::vector<std::vector<Figures>> by_way(const std::vector<Figures>& figures)
{
    std::vector<std::vector<Figures>> ways;
    std::map<std::pair<std::string, std::string>, std::size_t> places;
    for (const Figures& one : figures) {
        const auto [place, is_new] = places.try_emplace({one.read, one.way}, ways.size());
        if (is_new) {
            ways.emplace_back();
        }
        ways[place->second].push_back(one);
    }
    return ways;
}

std::string text_of(const std::string& where, const std::vector<Figures>& figures)
{
    std::string nodes;
    const std::vector<std::vector<Figures>> ways = by_way(figures);
    for (const Figures& one : ways.front()) {
        nodes += fmt::format("{}{}", nodes.empty() ? "" : " / ", one.nodes);
    }
    std::string text = fmt::format("{}\n\nEach cell: with {} nodes.\n", where, nodes);
    std::string read;
    for (const auto& way : ways) {
        if (read != way.front().read) {
            read = way.front().read;
            text += fmt::format(
                "\n| {} | buffers | round trips | nodes asked | p50, ms | p99, ms | MB on all nodes | WAL of a "
                "write, bytes | commits of a write |\n|---|---|---|---|---|---|---|---|---|\n",
                read);
        }
        text += "| " + way.front().way;
        for (const auto& cell : std::vector<std::function<std::string(const Figures&)>>{
                 [](const Figures& one) { return count(one.buffers); },
                 [](const Figures& one) { return count(one.round_trips); },
                 [](const Figures& one) { return count(one.touched); },
                 [](const Figures& one) { return milliseconds(one.p50_ms); },
                 [](const Figures& one) { return milliseconds(one.p99_ms); },
                 [](const Figures& one) { return megabytes(one.storage); },
                 [](const Figures& one) { return fmt::format("{:.0f}", one.wal_bytes); },
                 [](const Figures& one) {
                     return fmt::format("{:.1f}", one.commits);
                 }}) {
            text += " | " + over_nodes(way, cell);
        }
        text += " |\n";
    }
    return text;
}

} // namespace

void show(const std::vector<Figures>& figures)
{
    std::vector<std::vector<std::string>> rows{{"read", "way", "nodes", "buffers", "round trips", "nodes asked", "p50",
                                                "p99", "storage", "WAL a write", "commits a write"}};
    for (const Figures& one : figures) {
        rows.push_back({one.read, one.way, std::to_string(one.nodes), count(one.buffers), count(one.round_trips),
                        count(one.touched), milliseconds(one.p50_ms) + " ms", milliseconds(one.p99_ms) + " ms",
                        megabytes(one.storage) + " MB", fmt::format("{:.0f} B", one.wal_bytes), count(one.commits)});
    }
    demo::table(rows);
}

void write_table(const std::string& document, const std::string& where, const std::vector<Figures>& figures)
{
    std::ostringstream read;
    read << std::ifstream(document).rdbuf();
    std::string text = read.str();
    const std::size_t begin = text.find(kBegin);
    const std::size_t end = text.find(kEnd);
    if (begin == std::string::npos || end == std::string::npos || end < begin) {
        throw FatalError({"writing " + document, "it has no lines that say where the table begins and ends",
                          "Put " + kBegin + kEnd + " where it belongs."});
    }
    text.replace(begin + kBegin.size(), end - begin - kBegin.size(), text_of(where, figures));
    std::ofstream(document) << text;
}

} // namespace keyshift::bench
