#pragma once
/// The configuration: one struct, defaults at the members of the components' own option structs.
/// Precedence: flag, environment (KEYSHIFT_SECTION__KEY), file, default.

#include "cdc/options.hpp"
#include "projections/projections.hpp"
#include "resharder/resharder.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace keyshift::daemon {

struct Config {
    std::string catalog_dsn;
    std::string catalog_password_file;
    /// Part of slot and publication names, which are server-wide; empty: the topic prefix.
    std::string cluster;
    std::map<std::string, std::string> kafka;
    cdc::CdcOptions cdc;
    resharder::ReshardOptions reshard;
    projections::ProjectionOptions projection;
    std::string http_listen = "127.0.0.1:8642";
    std::string log_level = "info";
    /// text | json; empty: text on a terminal, else json.
    std::string log_format;

    /// Connection to the catalog; the purpose shows in pg_stat_activity.
    pg::ConnectionSettings catalog(std::string purpose) const;
    std::string cluster_name() const;
};

struct ConfigProblem {
    std::string where; ///< "keyshift.toml:7:1", "KEYSHIFT_CDC__PARTITIONS" or the key
    std::string why;
    std::string next;
};

/// Where each key's value comes from: "default", the file with line, the variable, or the flag.
struct LoadedConfig {
    Config config;
    std::string file;
    std::map<std::string, std::string> origins;
    std::vector<ConfigProblem> problems;
};

/// `flags`: "section.key" -> text. Never throws for a bad value: problems has them all. Touches no server.
LoadedConfig load_config(const std::optional<std::string>& file, const std::map<std::string, std::string>& flags = {});
/// Throws Error(configuration) with all problems when there are any.
Config checked(LoadedConfig loaded);

} // namespace keyshift::daemon
