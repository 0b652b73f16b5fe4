#pragma once
/// A secret in a file of its own: its first line. Never part of a message (INV-OPS-2).

#include <string>

namespace keyshift {

/// `what` names it in errors: "the password of n1". Throws Error(configuration) when the file is not there or others than its
/// owner can read it.
std::string read_secret_file(const std::string& what, const std::string& path);

} // namespace keyshift
