#pragma once
/// The checks at the end: each a row of the printed table, each failing the command.

#include "demo/acknowledged.hpp"
#include "demo/program.hpp"
#include "demo/settings.hpp"

#include <string>
#include <vector>

namespace keyshift::demo {

struct Check {
    std::string name;
    std::string result; ///< what was counted
    bool passed = false;
};

/// All rows of the three tables on one node.
DatabaseState read_node(const Settings& settings, const std::string& node);

/// `before`: the rows when the writers started.
std::vector<Check> run_checks(const Settings& settings, const Program& program, const DatabaseState& before,
                              const std::vector<WriterLog>& logs);

/// Prints the table; false when one failed.
bool show_checks(const std::vector<Check>& checks);

} // namespace keyshift::demo
