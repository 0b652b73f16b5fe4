#pragma once
/// What each path of the HTTP side answers. Reads the catalog on connections of its own, so that it works whatever the
/// streams do.

#include "daemon/http_server.hpp"
#include "daemon/supervisor.hpp"
#include "metrics/families.hpp"

namespace keyshift::daemon {

class Api {
public:
    Api(const Config& config, const Supervisor& supervisor, const metrics::Metrics& metrics,
        const metrics::ProcessMetrics& process)
        : config_(config), supervisor_(supervisor), metrics_(metrics), process_(process)
    {
    }

    HttpAnswer answer(const HttpRequest& request) const;

private:
    HttpAnswer health() const;
    HttpAnswer status() const;
    HttpAnswer data(const HttpRequest& request) const;

    const Config& config_;
    const Supervisor& supervisor_;
    const metrics::Metrics& metrics_;
    const metrics::ProcessMetrics& process_;
};

/// The status page, its script and its style: no outside resources, nothing inline; asks /v1/status every two seconds.
std::string_view status_page();
std::string_view status_script();
std::string_view status_style();

} // namespace keyshift::daemon
