#pragma once
/// One HTTP request to a port of this machine.

#include <string>

namespace keyshift::demo {

struct HttpAnswer {
    int status = 0; ///< 0: nobody answers
    std::string body;
};

/// `body`: JSON, or nothing.
HttpAnswer http(int port, const std::string& method, const std::string& path, const std::string& body = {});

} // namespace keyshift::demo
