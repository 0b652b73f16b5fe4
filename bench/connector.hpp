#pragma once
/// One connector in the Kafka Connect worker that `./dev bench` has started beside the broker.

#include <map>
#include <string>

namespace keyshift::bench {

class Connector {
public:
    /// False: `./dev bench` found no worker, so there is nothing to compare with.
    static bool worker_present();

    /// Starts it. `options`: as the connector has them.
    Connector(std::string name, const std::map<std::string, std::string>& options);
    ~Connector();
    Connector(const Connector&) = delete;
    Connector& operator=(const Connector&) = delete;

    /// Its tasks have ended; the worker with its compiled code stays, and so does the connector's place.
    void stop();
    void resume();
    /// While it is stopped, a sink only: all that its topics hold is delivered again.
    void forget_place();
    /// Throws FatalError with the reason when one of its tasks has failed.
    void check() const;

private:
    std::string path(const std::string& what = {}) const { return "/connectors/" + name_ + what; }
    std::string status() const;

    int port_;
    std::string name_;
};

} // namespace keyshift::bench
