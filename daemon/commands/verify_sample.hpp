#pragma once
/// `projection verify --sample`: compares a projection again and again, at a budget, until it is told to end.

#include "daemon/command_context.hpp"

#include <string>

namespace keyshift::daemon {

/// Each pass is a line of its own; between passes it rests, so that it compares no more than `rows_per_second` in the mean. The
/// status of the command is 6 where a pass found a difference.
void sample_projection(CommandContext& context, const std::string& name, double rows_per_second);

} // namespace keyshift::daemon
