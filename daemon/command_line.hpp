#pragma once
/// The command line: parses, runs one verb, turns errors into three parts on stderr and an exit status.

namespace keyshift::daemon {

/// Never throws. The exit status: docs/interface.md.
int run_command_line(int count, char** arguments);

} // namespace keyshift::daemon
