#pragma once
/// Every key of the configuration, described in one place: reading, showing, docs/configuration.md and "did you mean"
/// all walk this table. [kafka] is not here: its keys are librdkafka's.

#include "daemon/config.hpp"

#include <functional>
#include <string>
#include <vector>

namespace keyshift::daemon {

enum class KeyKind { text, integer, boolean, duration, size };

struct ConfigKey {
    std::string name; ///< "section.key"
    KeyKind kind = KeyKind::text;
    std::string description;
    bool needs_restart = true;
    /// Puts a value, given as text, into the configuration. The reason when it is not a value of this key.
    std::function<std::optional<std::string>(Config&, const std::string&)> read;
    std::function<std::string(const Config&)> show;
};

const std::vector<ConfigKey>& config_keys();
const ConfigKey* find_key(const std::string& name);
/// The known key nearest to a mistyped one; empty when none is near.
std::string nearest_key(const std::string& name);

/// "1s", "250ms", "10min", "2h"; nullopt for anything else.
std::optional<std::chrono::milliseconds> parse_duration(const std::string& text);
/// "64MiB", "1GiB", "4096"; nullopt for anything else.
std::optional<std::uint64_t> parse_size(const std::string& text);

} // namespace keyshift::daemon
