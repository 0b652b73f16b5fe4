#include "daemon/http_server.hpp"

#include "core/log.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <fmt/core.h>

#include <atomic>
#include <charconv>
#include <list>
#include <thread>

namespace keyshift::daemon {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using namespace std::chrono_literals;

constexpr std::uint32_t kMostHeaderBytes = 8192;
constexpr std::size_t kMostConnections = 32;
constexpr auto kPatience = 5s;
// The status page's script and style come from this server, which is also all that they talk to.
constexpr const char* kPolicy =
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

std::string decoded(std::string_view text)
{
    std::string out;
    for (std::size_t at = 0; at < text.size(); ++at) {
        unsigned char byte = 0;
        const bool escape = text[at] == '%' && at + 2 < text.size();
        if (escape &&
            std::from_chars(text.data() + at + 1, text.data() + at + 3, byte, 16).ptr == text.data() + at + 3) {
            out += static_cast<char>(byte);
            at += 2;
        } else {
            out += text[at] == '+' ? ' ' : text[at];
        }
    }
    return out;
}

http::response<http::string_body> bad_request(const beast::error_code& error)
{
    const bool too_large = error == http::error::header_limit || error == http::error::buffer_overflow;
    http::response<http::string_body> response(
        too_large ? http::status::request_header_fields_too_large : http::status::bad_request, 11);
    response.set(http::field::content_type, "text/plain");
    response.keep_alive(false);
    response.body() = error.message() + "\n";
    response.prepare_payload();
    return response;
}

} // namespace

HttpRequest parse_target(std::string_view target)
{
    HttpRequest request;
    const std::size_t question = target.find('?');
    request.path = decoded(target.substr(0, question));
    std::string_view query = question == std::string_view::npos ? std::string_view() : target.substr(question + 1);
    while (!query.empty()) {
        const std::size_t end = query.find('&');
        const std::string_view pair = query.substr(0, end);
        const std::size_t equals = pair.find('=');
        request.query.emplace(decoded(pair.substr(0, equals)),
                              equals == std::string_view::npos ? "" : decoded(pair.substr(equals + 1)));
        query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
    }
    return request;
}

struct HttpServer::State {
    Handler handler;
    bool loopback = true;
    asio::io_context context;
    tcp::acceptor acceptor{context};
    asio::steady_timer pause{context};
    /// One connection and the thread that serves it; only the accepting thread touches the list.
    struct Served {
        std::atomic<bool> done = false;
        std::jthread thread;
    };
    std::list<Served> served;
    std::jthread thread;

    void accept();
    void serve(tcp::socket socket);
    http::response<http::string_body> answer(const http::request<http::empty_body>& request) const;
    bool host_allowed(std::string_view host) const;
};

bool HttpServer::State::host_allowed(std::string_view host) const
{
    // Against DNS rebinding: who listens on loopback only is called by a loopback name.
    const std::string_view name = host.substr(0, host.starts_with('[') ? host.find(']') + 1 : host.rfind(':'));
    return !loopback || name == "127.0.0.1" || name == "localhost" || name == "[::1]";
}

http::response<http::string_body> HttpServer::State::answer(const http::request<http::empty_body>& request) const
{
    HttpAnswer answer;
    if (request.method() != http::verb::get && request.method() != http::verb::head) {
        answer = {405, "text/plain", "only GET and HEAD: commands go through `keyshift`\n"};
    } else if (!host_allowed(request[http::field::host])) {
        answer = {403, "text/plain", "unknown Host\n"};
    } else {
        try {
            const auto target = request.target();
            answer = handler(parse_target({target.data(), target.size()}));
        } catch (const Error& error) {
            const int status = error.kind() == ErrorKind::usage ? 400 : error.kind() == ErrorKind::refused ? 404 : 503;
            answer = {status, "text/plain", std::string(error.what()) + "\n"};
        } catch (const std::exception& error) {
            log::error("http", "a fault of the program: {}", error.what());
            answer = {500, "text/plain", "a fault of the program; the log has it\n"};
        }
    }
    http::response<http::string_body> response(static_cast<http::status>(answer.status), request.version());
    response.set(http::field::server, "keyshift");
    response.set(http::field::content_type, answer.type);
    response.set(http::field::cache_control, "no-store");
    response.set("Content-Security-Policy", kPolicy);
    response.set("X-Content-Type-Options", "nosniff");
    response.set("Referrer-Policy", "no-referrer");
    response.keep_alive(false);
    response.body() = std::move(answer.body);
    response.prepare_payload();
    if (request.method() == http::verb::head) {
        response.body().clear();
    }
    return response;
}

void HttpServer::State::serve(tcp::socket socket)
{
    asio::io_context own;
    beast::tcp_stream stream(own);
    stream.socket().assign(tcp::v4(), socket.release());
    beast::flat_buffer buffer(kMostHeaderBytes * 2);
    // No request that is answered has a body, so none is ever read.
    http::request_parser<http::empty_body> parser;
    parser.header_limit(kMostHeaderBytes);
    stream.expires_after(kPatience);
    beast::error_code failure;
    http::async_read_header(stream, buffer, parser, [&](beast::error_code error, std::size_t) { failure = error; });
    own.run();
    if (failure && failure.category() != http::make_error_code(http::error::bad_method).category()) {
        return; // the peer went away or was too slow
    }
    auto response = failure ? bad_request(failure) : answer(parser.get());
    own.restart();
    stream.expires_after(kPatience);
    http::async_write(stream, response, [](beast::error_code, std::size_t) {});
    own.run();
    beast::error_code ignored;
    stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
}

void HttpServer::State::accept()
{
    acceptor.async_accept([this](beast::error_code error, tcp::socket socket) {
        if (error == asio::error::operation_aborted) {
            return;
        }
        if (error) {
            // Out of file descriptors, for one: who has them gives them back.
            pause.expires_after(100ms);
            pause.async_wait([this](beast::error_code) { accept(); });
            return;
        }
        served.remove_if([](const Served& one) { return one.done.load(); });
        if (served.size() < kMostConnections) {
            Served& one = served.emplace_back();
            one.thread = std::jthread([this, &one, taken = std::move(socket)]() mutable {
                try {
                    serve(std::move(taken));
                } catch (const std::exception& fault) {
                    // A thread's root: a connection that breaks is its peer's matter.
                    log::debug("http", "{}", fault.what());
                }
                one.done = true;
            });
        }
        accept();
    });
}

HttpServer::HttpServer(const std::string& listen, Handler handler) : state_(std::make_unique<State>())
{
    const std::size_t colon = listen.rfind(':');
    const std::string host = listen.substr(0, colon);
    try {
        const tcp::endpoint endpoint(asio::ip::make_address(host),
                                     static_cast<unsigned short>(std::stoi(listen.substr(colon + 1))));
        state_->handler = std::move(handler);
        state_->loopback = endpoint.address().is_loopback();
        state_->acceptor.open(endpoint.protocol());
        state_->acceptor.set_option(tcp::acceptor::reuse_address(true));
        state_->acceptor.bind(endpoint);
        state_->acceptor.listen();
    } catch (const std::exception& error) {
        throw FatalError(
            {"listening on " + listen, error.what(),
             "Set another address in [http] listen, or stop who listens there; `ss -ltnp` names it. Nothing was touched."});
    }
}

void HttpServer::start()
{
    state_->accept();
    state_->thread = std::jthread([this](std::stop_token) { state_->context.run(); });
}

HttpServer::~HttpServer()
{
    state_->context.stop();
    if (state_->thread.joinable()) {
        state_->thread.join();
    }
    // Each ends within kPatience.
    state_->served.clear();
}

} // namespace keyshift::daemon
