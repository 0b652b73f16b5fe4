#pragma once
/// From a plan to a job that the daemon carries out.

#include "core/pg/connection.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace keyshift::resharder {

/// Throws RefusedError while another job has not ended. `what`: what is refused, for its message.
void refuse_unfinished_job(pg::Connection& catalog, const std::string& what);

/// The settling move whose donor is where `move` goes to, with a copy that is kept current: nothing has to be copied.
std::optional<std::int64_t> kept_copy(pg::Connection& catalog, const nlohmann::json& move);

/// Checks what moves need, ends the grace period of their buckets (but where a kept copy is taken over), stores the job with its moves and tells the daemon; the
/// job's number. `planned` is as plan() gives it, and is kept with the job; `together` runs in the transaction that stores it.
std::int64_t begin_job(pg::Connection& catalog, const std::string& what, const nlohmann::json& planned,
                       const std::function<void()>& together = {});

} // namespace keyshift::resharder
