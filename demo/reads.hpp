#pragma once
/// "All interactions of one user", answered three ways, measured.

#include "demo/settings.hpp"

#include <string>
#include <vector>

namespace keyshift::demo {

/// Prints the table: how, nodes touched, median, p99. `nodes`: those that hold shards now.
void show_reads(const Settings& settings, const std::vector<std::string>& nodes);

} // namespace keyshift::demo
