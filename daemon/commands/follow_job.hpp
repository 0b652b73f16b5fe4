#pragma once
/// What commands say of a plan, and of the job that carries it out.

#include "daemon/command_context.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>

namespace keyshift::daemon {

void print_plan(const CommandContext& context, const nlohmann::json& plan);

/// Of a job that was just stored: its number and how to look at it; with --wait until it has ended, with a progress bar.
/// Throws when it ends otherwise than done.
void follow_job(CommandContext& context, pg::Connection& catalog, std::int64_t job);

} // namespace keyshift::daemon
