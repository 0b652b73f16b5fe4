#pragma once
/// One HTTP request as a test wants it: the raw answer, to see every header.

#include <string>

namespace keyshift::test {

struct HttpReply {
    int status = 0; ///< 0: nobody answered
    std::string head;
    std::string body;
};

/// Sends `request` as it is.
HttpReply http_send(int port, const std::string& request);
HttpReply http_get(int port, const std::string& target, const std::string& method = "GET",
                   const std::string& host = "127.0.0.1");

} // namespace keyshift::test
