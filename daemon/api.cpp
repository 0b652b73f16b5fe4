#include "daemon/api.hpp"

#include "catalog/catalog.hpp"
#include "catalog/operations.hpp"
#include "core/json.hpp"
#include "core/kafka/client.hpp"
#include "daemon/status_report.hpp"
#include "projections/projections.hpp"
#include "resharder/resharder.hpp"

#include <fmt/core.h>

#include <charconv>

namespace keyshift::daemon {

namespace {

using namespace std::chrono_literals;
using Json = nlohmann::json;

// A loop that has not turned for this long has hung.
constexpr auto kStalled = 30s;

HttpAnswer json_answer(const Json& body, int status = 200)
{
    return {status, "application/json", body.dump() + "\n"};
}

std::optional<std::int64_t> number_after(const std::string& path, std::string_view prefix)
{
    std::int64_t value = 0;
    const char* begin = path.data() + prefix.size();
    const char* end = path.data() + path.size();
    const auto [stop, error] = std::from_chars(begin, end, value);
    return error == std::errc{} && stop == end ? std::optional(value) : std::nullopt;
}

/// {"state":"ok"} or the error's words.
template <typename Body>
Json dependency(bool& healthy, Body body)
{
    try {
        return body();
    } catch (const Error& error) {
        healthy = false;
        return {{"state", "failed"}, {"error", error.what()}};
    }
}

Json error_json(const std::optional<ErrorParts>& error)
{
    return error ? Json{{"what", error->what}, {"why", error->why}, {"next", error->next}} : Json();
}

HttpAnswer probe(bool good, const char* words)
{
    return {good ? 200 : 503, "text/plain", good ? "ok\n" : std::string(words) + "\n"};
}

} // namespace

HttpAnswer Api::health() const
{
    bool healthy = true;
    Json body;
    body["catalog"] = dependency(healthy, [&]() -> Json {
        pg::Connection catalog(config_.catalog("health"));
        catalog::check_version(catalog);
        return {{"state", "ok"}};
    });
    body["nodes"] = Json::object();
    for (const cdc::StreamStatus& stream : supervisor_.streams()) {
        healthy = healthy && stream.state == "streaming";
        body["nodes"][stream.node] = {{"state", stream.state}, {"error", error_json(stream.error)}};
    }
    body["kafka"] = dependency(healthy, [&]() -> Json {
        kafka::Admin(config_.kafka, "keyshift-health").ping(2s);
        return {{"state", "ok"}};
    });
    body["workers"] = Json::object();
    for (const WorkerStatus& worker : supervisor_.troubled()) {
        healthy = false;
        body["workers"][worker.name] = {{"state", worker.state}, {"error", error_json(worker.error)}};
    }
    body["state"] = healthy ? "ok" : "unhealthy";
    return json_answer(body, healthy ? 200 : 503);
}

HttpAnswer Api::status() const
{
    pg::Connection catalog(config_.catalog("api"));
    Json report = status_report(catalog);
    report["workers"] = Json::array();
    for (const WorkerStatus& worker : supervisor_.troubled()) {
        report["workers"].push_back(
            {{"name", worker.name}, {"state", worker.state}, {"error", error_json(worker.error)}});
    }
    return json_answer(report);
}

HttpAnswer Api::data(const HttpRequest& request) const
{
    const std::string& path = request.path;
    if (!path.starts_with("/v1/")) {
        return {
            404, "text/plain",
            "there are /, /metrics, /livez, /readyz, /healthz, /v1/status, /v1/nodes, /v1/jobs, /v1/projections and /v1/route\n"};
    }
    if (path == "/v1/status") {
        return status();
    }
    pg::Connection catalog(config_.catalog("api"));
    if (path == "/v1/nodes") {
        return json_answer(catalog::list_nodes(catalog));
    }
    if (path == "/v1/jobs") {
        return json_answer(resharder::list(catalog));
    }
    if (path.starts_with("/v1/jobs/")) {
        const auto job = number_after(path, "/v1/jobs/");
        return job ? json_answer(resharder::status(catalog, *job))
                   : HttpAnswer{404, "text/plain", "a job is a number\n"};
    }
    if (path == "/v1/projections") {
        return json_answer(projections::list(catalog));
    }
    if (path.starts_with("/v1/projections/")) {
        return json_answer(projections::show(catalog, path.substr(std::string_view("/v1/projections/").size())));
    }
    if (path == "/v1/route") {
        const auto table = request.query.find("table");
        std::vector<std::string> key;
        for (auto [value, end] = request.query.equal_range("key"); value != end; ++value) {
            key.push_back(value->second);
        }
        if (table == request.query.end() || key.empty()) {
            return {400, "text/plain", "ask /v1/route?table=users&key=...\n"};
        }
        return json_answer(catalog::route(catalog, table->second, key));
    }
    return {404, "text/plain", "there are /v1/status, /v1/nodes, /v1/jobs[/N], /v1/projections[/NAME] and /v1/route\n"};
}

HttpAnswer Api::answer(const HttpRequest& request) const
{
    if (request.path == "/metrics") {
        process_.refresh();
        return {200, "text/plain; version=0.0.4; charset=utf-8", metrics_.render()};
    }
    if (request.path == "/livez") {
        // A catalog or a broker that is away does not make a restart useful.
        return probe(supervisor_.stalled() < kStalled, "a loop has stopped turning");
    }
    if (request.path == "/readyz") {
        if (const std::string standby = supervisor_.standing_by(); !standby.empty()) {
            // Ready to take over: an orderly exchange of daemons waits for that.
            return {200, "text/plain", standby + "\n"};
        }
        return probe(supervisor_.ready(), "streams are starting");
    }
    if (request.path == "/healthz") {
        return health();
    }
    if (request.path == "/") {
        return {200, "text/html; charset=utf-8", std::string(status_page())};
    }
    if (request.path == "/status.js") {
        return {200, "text/javascript; charset=utf-8", std::string(status_script())};
    }
    if (request.path == "/status.css") {
        return {200, "text/css; charset=utf-8", std::string(status_style())};
    }
    return data(request);
}

} // namespace keyshift::daemon
