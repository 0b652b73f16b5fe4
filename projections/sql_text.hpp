#pragma once
/// Places in the text of a statement as PostgreSQL's parser writes it: no comments, standard strings only. Pure.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace keyshift::projections {

/// First place at or behind `from` where `wanted` stands outside quotes and brackets; npos: nowhere.
std::size_t find_outside(std::string_view text, std::string_view wanted, std::size_t from = 0);
/// Behind the bracket that closes the one at `open`.
std::size_t behind_bracket(std::string_view text, std::size_t open);
/// The parts of a list, cut at the commas outside quotes and brackets.
std::vector<std::string> split_list(std::string_view text);

/// The line of `sql` that holds byte `location`, and a caret under it.
std::string with_caret(const std::string& sql, std::size_t location);
/// "Did you mean posts? " for the name most like the one typed; empty when none is.
std::string did_you_mean(std::string_view typed, const std::vector<std::string>& names);

} // namespace keyshift::projections
