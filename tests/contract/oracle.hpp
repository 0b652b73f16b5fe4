#pragma once
/// The real Debezium, live: one connector in the Kafka Connect worker that `./dev test --oracle` starts, on the database
/// that Keyshift captures too. Its topics have the names of Keyshift's, on a broker of their own.

#include "core/lsn.hpp"
#include "tests/contract/contract_case.hpp"
#include "tests/contract/kafka_connect.hpp"
#include "tests/daemon/installation.hpp"

#include <string>

namespace keyshift::test {

class Oracle {
public:
    /// Whether this run has one.
    static bool present();
    /// Starts the connector and waits until it streams.
    Oracle(const ContractCase& one, const Installation& installation);

    /// Whether everything before this WAL position is in its topics, acknowledged.
    bool has_written(Lsn end) const;
    /// What it last said of itself: for a failure's message.
    std::string status() const { return connector_.status(); }

private:
    TestServers servers_;
    Connector connector_;
};

} // namespace keyshift::test
