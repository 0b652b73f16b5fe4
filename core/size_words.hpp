#pragma once
/// Sizes as people read them, the same in every command.

#include <string>

namespace keyshift {

/// "512 B", "1.5 GB": powers of 1000.
std::string size_words(double bytes);

} // namespace keyshift
