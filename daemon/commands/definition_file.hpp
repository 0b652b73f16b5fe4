#pragma once
/// The file behind --file of the projections' verbs.

#include <string>

namespace keyshift::daemon {

/// Throws Error(usage) when the file cannot be read. `verb`: for the error.
std::string read_definition(const std::string& verb, const std::string& file);

} // namespace keyshift::daemon
