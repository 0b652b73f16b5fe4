#pragma once
/// Named places where a test can make the daemon die, stop or fail. Compiled out unless KEYSHIFT_FAILPOINTS is defined.
///
/// Set by the environment variable KEYSHIFT_FAILPOINTS, e.g.
///   "move.copying.persisted=kill;publish.acknowledged=sleep:500;copy.row=error"
/// kill: SIGKILL to the own process; sleep:MS; wait:FILE until that file is there; error: throws TransientError; with @N, as in
/// kill@N, at the Nth pass only.
/// A fired failpoint writes "failpoint NAME fired" to stderr first, so that a test can check that it struck.

#include <string_view>

namespace keyshift {

#ifdef KEYSHIFT_FAILPOINTS
void failpoint(std::string_view name);
#else
inline void failpoint(std::string_view) {}
#endif

} // namespace keyshift
