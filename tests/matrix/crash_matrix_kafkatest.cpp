/// Servers, daemon and network are struck at each step of a move. `./dev test --matrix` runs every cell, any other run a few that
/// a seed chooses. INV-MOV-1, INV-MOV-2, INV-CDC-2.

#include "tests/matrix/crash_matrix.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <random>

namespace keyshift::test {
namespace {

constexpr std::size_t kSample = 8;

std::string environment(const char* variable)
{
    const char* value = std::getenv(variable);
    return value == nullptr ? "" : value;
}

/// All of them, those whose title has $KEYSHIFT_MATRIX_CELL in it, or a sample.
std::vector<Cell> cells_of_this_run()
{
    std::vector<Cell> cells = all_cells();
    if (const std::string wanted = environment("KEYSHIFT_MATRIX_CELL"); !wanted.empty()) {
        std::erase_if(cells, [&](const Cell& cell) { return cell.title().find(wanted) == std::string::npos; });
    } else if (environment("KEYSHIFT_MATRIX") != "all") {
        const std::string given = environment("KEYSHIFT_MATRIX_SEED");
        const unsigned seed = given.empty() ? std::random_device()() : static_cast<unsigned>(std::stoul(given));
        fmt::print("a sample of {} of {} cells; KEYSHIFT_MATRIX_SEED={} repeats it\n", kSample, cells.size(), seed);
        std::shuffle(cells.begin(), cells.end(), std::mt19937(seed));
        cells.resize(kSample);
    }
    return cells;
}

/// Rows in the order of the table of steps; a cell that did not run is empty.
void print(const std::map<std::string, std::map<Fault, std::string>>& results)
{
    fmt::print("\n{:58}", "step: struck at");
    for (const Fault fault : kFaults) {
        fmt::print(" {:>14}", name(fault));
    }
    fmt::print("\n");
    std::string last;
    for (const Cell& cell : all_cells()) {
        const auto row = results.find(cell.row());
        if (cell.row() == last || row == results.end()) {
            continue;
        }
        last = cell.row();
        fmt::print("{:58}", last);
        for (const Fault fault : kFaults) {
            const auto result = row->second.find(fault);
            fmt::print(" {:>14}", result == row->second.end() ? "" : result->second);
        }
        fmt::print("\n");
    }
    std::fflush(stdout);
}

std::string run(CrashMatrix& matrix, const Cell& cell)
try {
    return matrix.run(cell);
} catch (const std::exception& error) {
    return error.what();
}

TEST(CrashMatrixTest, EveryMoveEndsWellWhateverIsStruckAtWhateverStep)
{
    std::map<std::string, std::map<Fault, std::string>> results;
    auto matrix = std::make_unique<CrashMatrix>();
    for (const Cell& cell : cells_of_this_run()) {
        const auto begin = std::chrono::steady_clock::now();
        const std::string wrong = run(*matrix, cell);
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
        results[cell.row()][cell.fault] = wrong.empty() ? fmt::format("ok {:.1f} s", took.count()) : "FAILED";
        fmt::print("{}: {}\n", cell.title(), results[cell.row()][cell.fault]);
        std::fflush(stdout);
        if (!wrong.empty()) {
            ADD_FAILURE() << cell.title() << ": " << wrong;
            matrix.reset();
            matrix = std::make_unique<CrashMatrix>();
        }
    }
    print(results);
}

} // namespace
} // namespace keyshift::test
