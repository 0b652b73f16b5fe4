#pragma once
/// The read-only HTTP side: GET and HEAD only, small limits, one thread a connection, at most 32 of them.
/// Metrics, probes, status and route; PostgreSQL does authentication and commands, not this.

#include "daemon/config.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace keyshift::daemon {

struct HttpRequest {
    std::string path;
    std::multimap<std::string, std::string> query; ///< decoded
};
struct HttpAnswer {
    int status = 200;
    std::string type = "application/json";
    std::string body;
};

class HttpServer {
public:
    using Handler = std::function<HttpAnswer(const HttpRequest&)>;
    /// Binds at once; throws FatalError naming the address when that fails. `handler` is called from several threads.
    HttpServer(const std::string& listen, Handler handler);
    ~HttpServer();
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;
    /// Serves from now on.
    void start();

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// "/v1/route?table=users&key=a%20b" taken apart.
HttpRequest parse_target(std::string_view target);

} // namespace keyshift::daemon
