#pragma once
/// Every state that the switch protocol can reach, breadth first: the first violation that is found has a shortest way to it.

#include "tests/resharder/switch_model.hpp"

#include <cstddef>
#include <string>

namespace keyshift::test {

struct SearchResult {
    std::size_t states = 0;
    std::size_t transitions = 0;
    Violation violation = Violation::none;
    std::string way; ///< what happened, in order, up to the violation

    bool complete = true; ///< false: there are more states than the search was given room for
};

SearchResult search(const Scope& scope, const Rules& rules, std::size_t most_states = 6'000'000);

} // namespace keyshift::test
