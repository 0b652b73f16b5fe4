#pragma once
/// What the options of `table capture` say, as typed, and what becomes of a table's options by it. Touches no server.

#include "core/capture_options.hpp"

#include <optional>
#include <string>
#include <vector>

namespace keyshift::catalog {

/// Each unset: as it was. An empty text takes the option away.
struct OptionChanges {
    bool defaults = false; ///< everything that was set before is forgotten first
    std::optional<std::string> include_columns = std::nullopt;
    std::optional<std::string> exclude_columns = std::nullopt;
    std::optional<std::string> hash = std::nullopt;
    std::optional<std::string> key = std::nullopt;
    std::optional<std::string> where = std::nullopt;
    std::optional<std::string> on_error = std::nullopt;
    std::optional<std::string> former_columns = std::nullopt; ///< names that the table no longer has, but the WAL may
    std::vector<std::string> mask = {};                       ///< "column=constant"; none: as it was
    std::vector<std::string> truncate = {};                   ///< "column=N"

    bool any() const;
    /// Names that options may have though the table does not.
    std::vector<std::string> former(const CaptureOptions& before) const;
};

/// Throws Error(usage) where a text cannot be read, Error(refused) where options contradict each other.
CaptureOptions changed(const std::string& what, const CaptureOptions& before, const OptionChanges& changes);

} // namespace keyshift::catalog
