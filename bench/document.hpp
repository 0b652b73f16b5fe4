#pragma once
/// docs/benchmarks.md: a section for each group of parts, as the last run that measured all of the group left it.

#include "bench/measured.hpp"

#include <string>
#include <vector>

namespace keyshift::bench {

struct Section {
    std::string heading; ///< "Moves"
    std::string where;   ///< date, machine, versions
    std::vector<Measured> results;
    bool whole = false; ///< all of the group's parts have run
};

/// Puts those that are whole in the place of those of the same heading; all others stay.
void write_sections(const std::string& file, const std::vector<Section>& sections);

} // namespace keyshift::bench
