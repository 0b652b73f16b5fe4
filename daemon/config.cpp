#include "daemon/config.hpp"

#include "core/kafka/client.hpp"
#include "daemon/config_keys.hpp"

#include <fmt/core.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

namespace keyshift::daemon {

namespace {

// A configuration of a few kilobytes is large; the parser is not made for hostile input.
constexpr std::uintmax_t kMostBytes = 1U << 20U;
constexpr const char* kDefaultFile = "/etc/keyshift/keyshift.toml";
const std::set<std::string> kSections{"catalog", "kafka", "cdc", "reshard", "projection", "http", "log"};

std::string lower(std::string text)
{
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
    return text;
}

class Loader {
public:
    LoadedConfig load(const std::optional<std::string>& file, const std::map<std::string, std::string>& flags)
    {
        for (const ConfigKey& key : config_keys()) {
            loaded_.origins[key.name] = "default";
        }
        read_file(file);
        read_environment();
        for (const auto& [name, text] : flags) {
            take(name, text, "flag", "flag");
        }
        check_whole();
        return std::move(loaded_);
    }

private:
    void problem(std::string where, std::string why, std::string next)
    {
        loaded_.problems.push_back({std::move(where), std::move(why), std::move(next)});
    }

    void take(const std::string& name, const std::string& text, const std::string& where, const std::string& origin)
    {
        const ConfigKey* key = find_key(name);
        if (key == nullptr) {
            const std::string near = nearest_key(name);
            problem(where, "unknown key " + name,
                    near.empty() ? "docs/configuration.md lists every key." : "Did you mean " + near + "?");
        } else if (const auto why = key->read(loaded_.config, text)) {
            problem(where, name + ": " + *why, key->description);
        } else {
            loaded_.origins[name] = origin;
        }
    }

    void read_file(const std::optional<std::string>& wanted)
    {
        const char* variable = std::getenv("KEYSHIFT_CONFIG");
        loaded_.file = wanted ? *wanted : variable != nullptr ? variable : kDefaultFile;
        std::error_code error;
        const auto size = std::filesystem::file_size(loaded_.file, error);
        if (error) {
            if (wanted || variable != nullptr) {
                problem(loaded_.file, error.message(), "Name a readable file with --config or $KEYSHIFT_CONFIG.");
            }
            return;
        }
        if (size > kMostBytes) {
            problem(loaded_.file, "larger than 1 MiB", "Is this the configuration file?");
            return;
        }
        parse();
    }

    void parse()
    {
        try {
            const toml::table root = toml::parse_file(loaded_.file);
            for (const auto& [section, node] : root) {
                read_section(std::string(section.str()), node);
            }
        } catch (const toml::parse_error& error) {
            problem(place(error.source()), std::string(error.description()), "Correct the TOML at this place.");
        }
    }

    std::string place(const toml::source_region& source) const
    {
        return fmt::format("{}:{}:{}", loaded_.file, source.begin.line, source.begin.column);
    }

    void read_section(const std::string& section, const toml::node& node)
    {
        if (!kSections.contains(section) || !node.is_table()) {
            problem(place(node.source()), "unknown section [" + section + "]",
                    "Sections are catalog, kafka, cdc, reshard, projection, http, log.");
            return;
        }
        for (const auto& [name, value] : *node.as_table()) {
            const std::string key(name.str());
            const auto begin = name.source();
            if (section == "kafka") {
                read_kafka(key, value);
            } else {
                read_value(section + "." + key, value, place(begin));
            }
        }
    }

    static std::optional<std::string> as_text(const toml::node& value)
    {
        if (const auto text = value.value_exact<std::string>()) {
            return text;
        }
        if (const auto integer = value.value_exact<std::int64_t>()) {
            return std::to_string(*integer);
        }
        if (const auto boolean = value.value_exact<bool>()) {
            return *boolean ? "true" : "false";
        }
        return std::nullopt;
    }

    void read_kafka(const std::string& key, const toml::node& value)
    {
        // Unquoted dotted keys ("bootstrap.servers" without quotes) arrive as nested tables.
        if (const toml::table* nested = value.as_table()) {
            for (const auto& [name, inner] : *nested) {
                read_kafka(key + "." + std::string(name.str()), inner);
            }
            return;
        }
        const auto text = as_text(value);
        if (!text) {
            problem(place(value.source()), "kafka.\"" + key + "\" is no text, number or boolean",
                    "librdkafka's settings are single values.");
            return;
        }
        loaded_.config.kafka[key] = *text;
        loaded_.origins["kafka." + key] = place(value.source());
    }

    void read_value(const std::string& name, const toml::node& value, const std::string& where)
    {
        const ConfigKey* key = find_key(name);
        const auto text = as_text(value);
        const bool right = key == nullptr || (key->kind == KeyKind::integer   ? value.is_integer()
                                              : key->kind == KeyKind::boolean ? value.is_boolean()
                                              : key->kind == KeyKind::size    ? value.is_string() || value.is_integer()
                                                                              : value.is_string());
        if (!text || !right) {
            static constexpr std::array kNames{"a text", "a whole number", "true or false", "a duration such as \"1s\"",
                                               "a size such as \"64MiB\""};
            problem(where,
                    name + " is not " +
                        (key == nullptr ? "a single value" : kNames.at(static_cast<std::size_t>(key->kind))),
                    key == nullptr ? "docs/configuration.md lists every key." : key->description);
            return;
        }
        take(name, *text, where, place(value.source()));
    }

    void read_environment()
    {
        for (char** entry = environ; *entry != nullptr; ++entry) {
            const std::string variable = *entry;
            const std::string name = variable.substr(0, variable.find('='));
            const std::size_t between = name.find("__");
            if (!name.starts_with("KEYSHIFT_") || between == std::string::npos || variable.size() == name.size()) {
                continue;
            }
            const std::string value = variable.substr(name.size() + 1);
            if (name.starts_with("KEYSHIFT_KAFKA__")) {
                read_kafka_variable(name, value);
            } else {
                const std::size_t begin = std::string_view("KEYSHIFT_").size();
                take(lower(name.substr(begin, between - begin) + "." + name.substr(between + 2)), value, name,
                     "environment " + name);
            }
        }
    }

    /// KEYSHIFT_KAFKA__BOOTSTRAP_SERVERS -> bootstrap.servers
    void read_kafka_variable(const std::string& variable, const std::string& value)
    {
        std::string key = variable.substr(std::string_view("KEYSHIFT_KAFKA__").size());
        std::transform(key.begin(), key.end(), key.begin(), [](unsigned char letter) {
            return letter == '_' ? '.' : static_cast<char>(std::tolower(letter));
        });
        loaded_.config.kafka[key] = value;
        loaded_.origins["kafka." + key] = "environment " + variable;
    }

    void check_whole()
    {
        Config& config = loaded_.config;
        if (config.catalog_dsn.empty()) {
            problem("catalog.dsn", "it is not set", "Set dsn in [catalog], e.g. \"host=127.0.0.1 dbname=app\".");
        } else {
            as_problem("catalog.dsn", [&] { pg::address_of(config.catalog_dsn); });
        }
        if (config.cdc.topic_prefix.empty()) {
            problem("cdc.topic_prefix", "it is not set",
                    "Set topic_prefix in [cdc]; topics are <prefix>.<schema>.<table>.");
        } else if (config.cdc.topic_prefix.find_first_not_of(
                       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != std::string::npos) {
            problem("cdc.topic_prefix",
                    "\"" + config.cdc.topic_prefix + "\" has characters that a topic name cannot have",
                    "Use letters, digits, '.', '_' and '-'.");
        }
        if (config.cluster_name().find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") != std::string::npos) {
            problem("catalog.cluster", "\"" + config.cluster_name() + "\" cannot be part of a slot's name",
                    "Set cluster in [catalog] to lower case letters, digits and '_'.");
        }
        check_kafka();
        if (config.http_listen.rfind(':') == std::string::npos) {
            problem("http.listen", "\"" + config.http_listen + "\" is no address:port",
                    "Write it as \"127.0.0.1:8642\".");
        }
        config.cdc.kafka = config.kafka;
        config.projection.kafka = config.kafka;
        config.projection.topic_prefix = config.cdc.topic_prefix;
        config.projection.partitions = config.cdc.partitions;
        config.projection.replication_factor = config.cdc.replication_factor;
        config.projection.forms = {find_key("cdc.decimal")->show(config), find_key("cdc.time")->show(config),
                                   find_key("cdc.binary")->show(config)};
    }

    /// librdkafka names one bad key at a time: it is left out and the rest checked again, so that all are named.
    void check_kafka()
    {
        auto settings = loaded_.config.kafka;
        if (!settings.contains("bootstrap.servers")) {
            problem("kafka.\"bootstrap.servers\"", "it is not set", "Set it in [kafka], e.g. \"127.0.0.1:9092\".");
            settings.emplace("bootstrap.servers", "localhost");
        }
        while (true) {
            try {
                kafka::check(settings);
                return;
            } catch (const Error& error) {
                const auto bad = std::find_if(settings.begin(), settings.end(), [&](const auto& setting) {
                    return error.parts().what.find("\"" + setting.first + "\"") != std::string::npos;
                });
                problem(bad == settings.end() ? "kafka" : loaded_.origins.at("kafka." + bad->first),
                        error.parts().what + ": " + error.parts().why, error.parts().next);
                if (bad == settings.end()) {
                    return;
                }
                settings.erase(bad);
            }
        }
    }

    template <typename Body>
    void as_problem(const std::string& where, Body body)
    {
        try {
            body();
        } catch (const Error& error) {
            problem(where, error.parts().what + ": " + error.parts().why, error.parts().next);
        }
    }

    LoadedConfig loaded_;
};

} // namespace

pg::ConnectionSettings Config::catalog(std::string purpose) const
{
    return {"catalog", catalog_dsn, catalog_password_file, std::move(purpose)};
}

std::string Config::cluster_name() const
{
    return cluster.empty() ? cdc.topic_prefix : cluster;
}

LoadedConfig load_config(const std::optional<std::string>& file, const std::map<std::string, std::string>& flags)
{
    return Loader().load(file, flags);
}

Config checked(LoadedConfig loaded)
{
    if (loaded.problems.empty()) {
        return std::move(loaded.config);
    }
    const ConfigProblem& first = loaded.problems.front();
    const std::size_t more = loaded.problems.size() - 1;
    throw Error(ErrorKind::configuration, {"reading the configuration: " + first.where,
                                           first.why + (more > 0 ? fmt::format(" (and {} more)", more) : ""),
                                           first.next + " `keyshift config check` prints every problem."});
}

} // namespace keyshift::daemon
