#pragma once
/// A captured table's options as the catalog keeps them: one JSON object, a member only where something is set.

#include "core/capture_options.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string_view>

namespace keyshift::catalog {

nlohmann::json to_json(const CaptureOptions& options);
/// Throws FatalError for a member that this program does not know: it may hide a column.
CaptureOptions read_options(std::string_view json);

/// "stop", "dead-letter".
std::string_view name_of(OnError policy);

} // namespace keyshift::catalog
