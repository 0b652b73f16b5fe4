#include "bench/reads/figures.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <map>

namespace keyshift::bench {

namespace {

constexpr double kPanelWidth = 230;
constexpr double kPanelHeight = 190;
constexpr double kLeft = 60;
constexpr double kTop = 60;
constexpr double kGap = 50;
// Distinct also for those who see no red or no green.
constexpr std::array kColours{"#999999", "#e69f00", "#0072b2", "#009e73", "#d55e00"};

using Value = double (*)(const Figures&);

struct Panel {
    double x, y;
    double low, high; ///< powers of ten at the ends of the vertical axis
    double most_nodes;

    double across(double nodes) const
    {
        return x + (most_nodes <= 1 ? 0 : std::log2(nodes) / std::log2(most_nodes)) * kPanelWidth;
    }
    double up(double value) const
    {
        return y + kPanelHeight * (1 - (std::log10(std::max(value, std::pow(10, low))) - low) / (high - low));
    }
};

std::string label(double x, double y, const std::string& anchor, const std::string& text, int size = 11)
{
    return fmt::format("<text x=\"{:.0f}\" y=\"{:.0f}\" text-anchor=\"{}\" font-size=\"{}\">{}</text>\n", x, y, anchor,
                       size, text);
}

std::string line(double x1, double y1, double x2, double y2, const std::string& colour, double width)
{
    return fmt::format(
        "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\" stroke-width=\"{}\"/>\n", x1, y1,
        x2, y2, colour, width);
}

std::string axes(const Panel& panel, const std::vector<Figures>& figures)
{
    std::string svg;
    for (double power = panel.low; power <= panel.high; ++power) {
        const double y = panel.up(std::pow(10, power));
        svg += line(panel.x, y, panel.x + kPanelWidth, y, "#dddddd", 1);
        svg += label(panel.x - 6, y + 4, "end", fmt::format("{:g}", std::pow(10, power)));
    }
    std::map<std::size_t, bool> nodes;
    for (const Figures& one : figures) {
        nodes[one.nodes] = true;
    }
    for (const auto& [number, there] : nodes) {
        svg += label(panel.across(static_cast<double>(number)), panel.y + kPanelHeight + 16, "middle",
                     std::to_string(number));
    }
    return svg;
}

std::string curve(const Panel& panel, const std::vector<Figures>& of_way, Value value, const std::string& colour)
{
    std::string points;
    std::string dots;
    for (const Figures& one : of_way) {
        const double x = panel.across(static_cast<double>(one.nodes));
        const double y = panel.up(value(one));
        points += fmt::format("{:.1f},{:.1f} ", x, y);
        dots += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"{}\"/>\n", x, y, colour);
    }
    return fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>\n{}", points, colour,
                       dots);
}

template <typename Field>
std::vector<std::string> distinct(const std::vector<Figures>& figures, Field field)
{
    std::vector<std::string> values;
    for (const Figures& one : figures) {
        if (std::find(values.begin(), values.end(), one.*field) == values.end()) {
            values.push_back(one.*field);
        }
    }
    return values;
}

/// One measure: a panel for each read, on one scale.
std::string row_of_panels(const std::vector<Figures>& figures, const std::vector<std::string>& ways, double y,
                          Value value)
{
    double low = 1e9;
    double high = 0;
    double nodes = 1;
    for (const Figures& one : figures) {
        low = std::min(low, value(one));
        high = std::max(high, value(one));
        nodes = std::max(nodes, static_cast<double>(one.nodes));
    }
    std::string svg;
    double x = kLeft;
    for (const std::string& read : distinct(figures, &Figures::read)) {
        const Panel panel{x, y, std::floor(std::log10(low)), std::ceil(std::log10(high)), nodes};
        svg += axes(panel, figures);
        for (std::size_t way = 0; way < ways.size(); ++way) {
            std::vector<Figures> shown;
            std::copy_if(figures.begin(), figures.end(), std::back_inserter(shown),
                         [&](const Figures& one) { return one.read == read && one.way == ways[way]; });
            svg += curve(panel, shown, value, kColours.at(way));
        }
        x += kPanelWidth + kGap;
    }
    return svg;
}

} // namespace

void write_plot(const std::string& file, const std::vector<Figures>& figures)
{
    const std::vector<std::string> reads = distinct(figures, &Figures::read);
    // Five at most: the ways that only some reads have come last.
    std::vector<std::string> ways = distinct(figures, &Figures::way);
    const double width = kLeft + static_cast<double>(reads.size()) * (kPanelWidth + kGap);
    const double second = kTop + kPanelHeight + 70;
    const double height = second + kPanelHeight + 75;
    std::ofstream svg(file);
    svg << fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 0 {0:.0f} "
        "{1:.0f}\" font-family=\"sans-serif\" fill=\"#222222\">\n<rect width=\"{0:.0f}\" height=\"{1:.0f}\" "
        "fill=\"#ffffff\"/>\n",
        width, height);
    double x = kLeft;
    for (const std::string& read : reads) {
        svg << label(x, 22, "start", read, 14);
        x += kPanelWidth + kGap;
    }
    svg << label(kLeft, kTop - 14, "start", "p50 of a read in ms, by number of nodes");
    svg << row_of_panels(figures, ways, kTop, [](const Figures& one) { return one.p50_ms; });
    svg << label(kLeft, second - 14, "start", "buffers of a read on all nodes, by number of nodes");
    svg << row_of_panels(figures, ways, second, [](const Figures& one) { return one.buffers; });
    x = kLeft;
    for (std::size_t way = 0; way < ways.size(); ++way) {
        svg << line(x, height - 20, x + 22, height - 20, kColours.at(way), 3)
            << label(x + 28, height - 16, "start", ways[way], 12);
        x += 36 + 7 * static_cast<double>(ways[way].size());
    }
    svg << "</svg>\n";
}

} // namespace keyshift::bench
