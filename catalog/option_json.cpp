#include "catalog/option_json.hpp"

#include "core/error.hpp"
#include "core/json.hpp"

#include <fmt/format.h>

#include <functional>

namespace keyshift::catalog {

namespace {

constexpr std::string_view kDeadLetter = "dead-letter";

using Reader = std::function<void(CaptureOptions&, const nlohmann::json&)>;

template <typename Value>
Reader into(Value CaptureOptions::*member)
{
    return [member](CaptureOptions& options, const nlohmann::json& value) {
        value.get_to(options.*member);
    };
}

const std::map<std::string, Reader, std::less<>>& readers()
{
    static const std::map<std::string, Reader, std::less<>> known{
        {"include_columns", into(&CaptureOptions::include_columns)},
        {"exclude_columns", into(&CaptureOptions::exclude_columns)},
        {"mask", into(&CaptureOptions::mask)},
        {"hash", into(&CaptureOptions::hash)},
        {"truncate", into(&CaptureOptions::truncate)},
        {"key", into(&CaptureOptions::key)},
        {"where", into(&CaptureOptions::where)},
        {"columns", into(&CaptureOptions::columns)},
        {"on_error", [](CaptureOptions& options, const nlohmann::json& value) {
             options.on_error = value == kDeadLetter ? OnError::dead_letter : OnError::stop;
         }}};
    return known;
}

} // namespace

std::string_view name_of(OnError policy)
{
    return policy == OnError::dead_letter ? kDeadLetter : "stop";
}

nlohmann::json to_json(const CaptureOptions& options)
{
    nlohmann::json json = nlohmann::json::object();
    const auto add = [&json](const char* name, const auto& value) {
        if (!value.empty()) {
            json[name] = value;
        }
    };
    add("include_columns", options.include_columns);
    add("exclude_columns", options.exclude_columns);
    add("mask", options.mask);
    add("hash", options.hash);
    add("truncate", options.truncate);
    add("key", options.key);
    add("where", options.where);
    if (options.on_error != OnError::stop) {
        json["on_error"] = name_of(options.on_error);
    }
    add("columns", options.columns);
    return json;
}

CaptureOptions read_options(std::string_view text)
try {
    CaptureOptions options;
    const nlohmann::json json = nlohmann::json::parse(text);
    for (const auto& [name, value] : json.items()) {
        const auto reader = readers().find(name);
        if (reader == readers().end()) {
            throw FatalError({"reading the options of a captured table from the catalog",
                              fmt::format("this program knows no option {}: it was set by a newer one", name),
                              "Use the newer program."});
        }
        reader->second(options, value);
    }
    return options;
} catch (const nlohmann::json::exception&) {
    throw FatalError({"reading the options of a captured table from the catalog",
                      "they are not of the form that `keyshift table capture` writes",
                      "Correct keyshift.captured_table.options, or set it to '{}' and give the options again."});
}

} // namespace keyshift::catalog
